"""The tables that descriptive figures are drawn from: distributions, distributions by outcome, ranks, missing values.

Tails are cut at :data:`TAIL` and what lies beyond is counted into the last bar, so that no frame tells who is extreme;
counts from 1 to 4 are told as 4 (:func:`relapse.description.outcome.told`).
"""

from collections.abc import Callable
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.schema import Cohort
from relapse.description.outcome import by_outcome, told
from relapse.evaluation.statistics.multiplicity import kendall_tau_b_matrix
from relapse.evaluation.statistics.ranking.concordance import concordance

if TYPE_CHECKING:
    import pandas as pd

#: Share of the rows beyond each end of an axis.
TAIL = 0.01

#: Bars of a histogram, and points of a density.
BARS, POINTS = 12, 60

#: Of a wide table the first features, in declared order, are drawn (so many in each kind of figure) and ranked against
#: each other: nobody reads more, and to take those that go with the outcome would invite to choose by it.
DRAWN, PAIRED = 105, 60

#: The outcome's name in the frame of rank correlations.
OUTCOME = "outcome"


def distributions(table: "pd.DataFrame", cohort: Cohort) -> "pd.DataFrame":
    """Rows a bar or a level.

    Returns
    -------
    DataFrame
        ``feature``; ``lower`` and ``upper`` end of a bar (NaN for levels); ``level`` (empty for bars); ``rows``;
        ``missing``, the share of rows without a value.
    """
    import pandas as pd

    records = []
    for name, feature in cohort.features.items():
        missing = float(table[name].isna().mean())
        known = table[name].dropna()
        if isinstance(feature, Categorical):
            counts = known.value_counts()
            records += [
                (name, np.nan, np.nan, level, told(int(counts.get(level, 0))), missing) for level in feature.names
            ]
            continue
        values = known.to_numpy(dtype=np.float64)
        edges = _edges(values)
        rows, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        records += [
            (name, low, high, "", told(int(count)), missing)
            for low, high, count in zip(edges[:-1], edges[1:], rows, strict=True)
        ]
    return pd.DataFrame(records, columns=["feature", "lower", "upper", "level", "rows", "missing"])


def densities(table: "pd.DataFrame", cohort: Cohort) -> "pd.DataFrame":
    """Gaussian kernel densities (Scott's width) of the numeric features by outcome, with quartiles.

    Returns
    -------
    DataFrame
        ``feature``, ``group``, ``value``, ``density`` (largest of the feature = 1), and the group's ``lower`` quartile,
        ``median`` and ``upper`` quartile. A group in which a feature does not vary has no rows.
    """
    import pandas as pd
    from scipy.stats import gaussian_kde

    parts = []
    for name in cohort.numeric(list(cohort.features)):
        low, high = table[name].quantile([TAIL, 1 - TAIL])
        grid = np.linspace(low, high, POINTS)
        for group, rows in by_outcome(table, cohort).items():
            values = np.clip(rows[name].dropna().to_numpy(dtype=np.float64), low, high)
            if len(values) < 2 or np.ptp(values) == 0:
                continue
            quartiles = np.quantile(values, [0.25, 0.5, 0.75])
            part = pd.DataFrame({"feature": name, "group": group, "value": grid, "density": gaussian_kde(values)(grid)})
            parts.append(part.assign(**dict(zip(("lower", "median", "upper"), quartiles, strict=True))))
    columns = ["feature", "group", "value", "density", "lower", "median", "upper"]
    if not parts:
        return pd.DataFrame(columns=columns)
    found = pd.concat(parts, ignore_index=True)
    found["density"] /= found.groupby("feature")["density"].transform("max")
    return found


def levels(table: "pd.DataFrame", cohort: Cohort) -> "pd.DataFrame":
    """Levels by outcome: ``feature``, ``level``, ``group``, ``rows`` and ``share`` of the group's known rows."""
    import pandas as pd

    records = []
    for name in cohort.categorical(list(cohort.features)):
        for group, rows in by_outcome(table, cohort).items():
            known = rows[name].dropna()
            for level in cohort.features[name].names:  # type: ignore[union-attr]  # categorical() gives these only
                found = told(int((known == level).sum()))
                records.append((name, level, group, found, found / len(known) if len(known) else np.nan))
    return pd.DataFrame(records, columns=["feature", "level", "group", "rows", "share"])


def rank_correlations(table: "pd.DataFrame", cohort: Cohort) -> "pd.DataFrame":
    """Kendall's tau-b of features that have an order: of every two of the first :data:`PAIRED`, and with the outcome.

    With a time to an event, the figure for the outcome is 2C - 1 (Harrell's C of the feature alone): the surplus of
    pairs in which the larger value goes with the earlier event, over the pairs whose order is known.

    Returns
    -------
    DataFrame
        ``first``, ``second`` (:data:`OUTCOME` for it), ``tau``: every pair once. Nominal features of more than two
        levels have no order and are left out; pairs of which one does not vary have NaN.
    """
    import pandas as pd

    ranks = _ranked(table, cohort)
    names = list(ranks)[:PAIRED]
    tau, _ = kendall_tau_b_matrix(np.array([ranks[name] for name in names]).reshape(len(names), len(table)).T)
    pairs = combinations(range(len(names)), 2)
    records = [(names[one], names[two], tau[one, two]) for one, two in pairs]
    with_outcome = _with_time if cohort.survival else _with_event
    records += [(name, OUTCOME, with_outcome(table, values)) for name, values in ranks.items()]
    return pd.DataFrame(records, columns=["first", "second", "tau"])


def missing_values(table: "pd.DataFrame", cohort: Cohort) -> "pd.DataFrame":
    """``feature``, ``rows`` without a value, their ``share``; declared order."""
    import pandas as pd

    names = list(cohort.features)
    rows = [told(int(table[name].isna().sum())) for name in names]
    return pd.DataFrame({"feature": names, "rows": rows, "share": np.array(rows) / len(table)})


def missing_together(table: "pd.DataFrame", cohort: Cohort) -> "pd.DataFrame":
    """Which features lack a value in the same rows: ``features`` (joined by " + ", "none" first) and ``rows``."""
    import pandas as pd

    absent = table[list(cohort.features)].isna()
    patterns = absent.apply(lambda row: " + ".join(absent.columns[row]) or "none", axis=1)
    counts = patterns.value_counts().map(told).rename_axis("features").reset_index(name="rows")
    order = counts["features"].ne("none")
    return pd.DataFrame(counts.assign(order=order).sort_values(["order", "rows"], ascending=[True, False]))[
        ["features", "rows"]
    ].reset_index(drop=True)


def _edges(values: "np.ndarray") -> "np.ndarray":
    if not len(values):
        return np.array([0.0, 1.0])
    low, high = np.quantile(values, [TAIL, 1 - TAIL])
    distinct = np.unique(values)
    if len(distinct) <= BARS and np.allclose(distinct, np.round(distinct)):
        return np.arange(np.floor(low) - 0.5, np.ceil(high) + 1.0)
    return np.linspace(low, high if high > low else low + 1.0, BARS + 1)


def _ranked(table: "pd.DataFrame", cohort: Cohort) -> "dict[str, pd.Series[float]]":
    found = {}
    for name, feature in cohort.features.items():
        if not isinstance(feature, Categorical):
            found[name] = table[name].astype("float64")
        elif feature.type == "ordinal" or len(feature.names) == 2:
            codes = {level: float(code) for code, level in enumerate(feature.names)}
            found[name] = table[name].astype("str").map(codes).astype("float64")
    return found


def _with_time(table: "pd.DataFrame", values: "pd.Series[float]") -> float:
    known = values.notna()
    if values[known].nunique() < 2:
        return float("nan")
    time, event = table.loc[known, "time"].to_numpy(), table.loc[known, "event"].to_numpy()
    return 2 * concordance(time, event, values[known].to_numpy()) - 1


def _with_event(table: "pd.DataFrame", values: "pd.Series[float]") -> float:
    tau, _ = kendall_tau_b_matrix(np.column_stack([values, table["event"].astype("float64")]))
    return float(tau[0, 1])


#: Every frame by name.
FRAMES: "dict[str, Callable[[pd.DataFrame, Cohort], pd.DataFrame]]" = {
    "distributions": distributions,
    "densities": densities,
    "levels": levels,
    "rank_correlations": rank_correlations,
    "missing_values": missing_values,
    "missing_together": missing_together,
}
