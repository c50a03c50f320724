"""Coded checks F008 and F009: two units in one column, as two populations of values a unit's factor apart.

Nothing is assumed about the shape but that values in one unit have one peak on the log scale. Three windows of equal
width are laid side by side, the outer two one factor apart. With one peak the middle one cannot hold fewer values than
both others but by chance, which the binomial distribution bounds; so skewed and heavy-tailed features stay silent.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom, ks_2samp, mannwhitneyu

from relapse.cohorts.declared.features import Numeric
from relapse.cohorts.schema import Cohort
from relapse.ground.finding import Finding
from relapse.quality.checks.columns import first_rows
from relapse.quality.codes import F008, F009

#: Ratios of units that are mistaken for each other, with an example.
FACTORS = {
    2.54: "inches and cm",
    10.0: "cm and mm",
    25.4: "inches and mm",
    100.0: "m and cm, or a share and per cent",
    1000.0: "g and mg, or m and mm",
}

#: How far, as a ratio, the medians of two groups may be from a factor.
TOLERANCE = 1.25

#: Chance of a false finding in a whole table of honest features.
FALSE_ALARM = 0.01

#: Values that a group needs, and different ones among them: coarse values leave gaps of their own.
GROUP = 10
DIFFERENT = 8


@dataclass(frozen=True, slots=True)
class Units:
    """Values below ``cut`` are in one unit, those above in another, ``factor`` apart."""

    factor: float
    cut: float


def mixed_units(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    """F008: two units in one column, by site or over all rows."""
    findings = []
    people = table.drop_duplicates("patient")
    names = _measured(table, cohort)
    sites = {}
    if cohort.site is not None:
        sites = {str(site): (people["site"] == site).to_numpy() for site in sorted(people["site"].dropna().unique())}
    for name in names:
        values = people[name].to_numpy(dtype=float)
        feature = cohort.features[name]
        unit = f" ({feature.unit})" if isinstance(feature, Numeric) and feature.unit else ""
        remedy = f"Ask in which unit each was recorded, and convert them to one{unit}, the declared range with them."
        higher = units_by_site(values, sites, features=len(names))
        for factor in sorted(set(higher.values())):
            where = [key for key, other in higher.items() if other == factor]
            message = (
                f"values at {cohort.site} {', '.join(where)} are about {factor:g} times those at the site with the "
                f"lowest, otherwise alike: another unit ({FACTORS[factor]})? {remedy}"
            )
            findings.append(F008.found(name, message, first_rows(table, table["site"].isin(where))))
        if higher:
            continue
        found = two_units(values, features=len(names))
        if found is not None:
            low, high = table[name] < found.cut, table[name] >= found.cut
            fewer, words = (low, "lower") if low.sum() <= high.sum() else (high, "higher")
            message = (
                f"two groups of values, {low.sum()} and {high.sum()} rows, about a factor of {found.factor:g} apart, "
                f"and hardly any between: two units ({FACTORS[found.factor]})? {remedy} The rows below have "
                f"the {words} values."
            )
            findings.append(F008.found(name, message, first_rows(table, fewer)))
    return findings


def outside_by_a_unit(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    """F009: values outside the declared range that would lie among the others in another unit."""
    findings = []
    for name in _measured(table, cohort):
        feature = cohort.features[name]
        if not isinstance(feature, Numeric) or feature.learnt:
            continue
        low, high = feature.range
        values = table[name].to_numpy(dtype=float)
        inside = values[(values >= low) & (values <= high)]
        for outside, power, word in ((values < low, 1, "multiplied"), (values > high, -1, "divided")):
            strange = values[outside & (values > 0)]
            if len(strange) < 3 or len(inside) < 2 * GROUP:
                continue
            lower, upper = np.quantile(inside, [0.05, 0.95])
            fits = {}
            for factor in FACTORS:
                converted = strange * factor**power
                fits[factor] = float(((converted >= lower) & (converted <= upper)).mean())
            factor = max(fits, key=lambda item: fits[item])
            if fits[factor] < 0.9:
                continue
            message = (
                f"the values outside the range would lie among the others if {word} by {factor:g}: another unit "
                f"({FACTORS[factor]})? Values within the range may be in that unit, too: ask, and convert all of them."
            )
            findings.append(F009.found(name, message, first_rows(table, outside)))
    return findings


def _measured(table: pd.DataFrame, cohort: Cohort) -> list[str]:
    """Features that have a unit to be mistaken, and that could be read as numbers."""
    return [
        name
        for name, feature in cohort.features.items()
        if feature.type == "continuous" and pd.api.types.is_numeric_dtype(table[name])
    ]


def two_units(values: NDArray[np.float64], *, features: int) -> Units | None:
    """The two units in one column, where it has two.

    Parameters
    ----------
    values
        Shape (n,), one a patient; missing values and zeros are left out. A quantity with negative values has no unit.
    features
        How many features of the table are looked at: the level is shared among them.
    """
    logs = _logs(values)
    if logs is None or len(logs) < 4 * GROUP:
        return None
    best: tuple[float, float, float] | None = None
    for factor in FACTORS:
        distance = np.log(factor)
        half = distance / 6
        starts = np.arange(logs[0], logs[-1] - distance, half / 2)
        if not len(starts):
            continue
        left, middle, right = (_count(logs, starts + shift, half) for shift in (0.0, distance / 2, distance))
        outer = np.minimum(left, right)
        worth = np.flatnonzero((outer >= GROUP) & (2 * middle <= outer))
        if not len(worth):
            continue
        p = binom.cdf(middle[worth], (middle + outer)[worth], 0.5) * len(starts) * len(FACTORS) * features
        least = int(np.argmin(p))
        if p[least] < FALSE_ALARM and (best is None or p[least] < best[0]):
            best = float(p[least]), factor, float(starts[worth[least]])
    if best is None:
        return None
    _, factor, start = best
    cut = _valley(logs, start, start + np.log(factor))
    low, high = logs[logs < cut], logs[logs >= cut]
    if _factor(low, high) is None or not _of_one_shape(low, high):
        return None
    return Units(factor=_factor(low, high) or factor, cut=float(np.exp(cut)))


def units_by_site(
    values: NDArray[np.float64], sites: dict[str, NDArray[np.bool_]], *, features: int
) -> dict[str, float]:
    """Sites whose values lie a unit's factor above those of the lowest sites, with the factor; empty where none does.

    ``sites`` says for each which of the values are its own. Two sites are compared by their medians, by a rank test of
    whether they differ at all, and by the shape that their distributions have once the factor is taken out.
    """
    groups = {}
    for name, members in sites.items():
        logs = _logs(values[members])
        if logs is not None and len(logs) >= GROUP and len(np.unique(logs)) >= DIFFERENT:
            groups[name] = logs
    if len(groups) < 2:
        return {}
    base = min(groups, key=lambda name: float(np.median(groups[name])))
    found = {}
    for name, logs in groups.items():
        factor = _factor(groups[base], logs)
        if factor is None or not _of_one_shape(groups[base], logs):
            continue
        if mannwhitneyu(groups[base], logs).pvalue * len(groups) ** 2 * features < FALSE_ALARM:
            found[name] = factor
    return found


def _logs(values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    known = values[np.isfinite(values)]
    return None if (known < 0).any() else np.sort(np.log(known[known > 0]))


def _count(logs: NDArray[np.float64], centres: NDArray[np.float64], half: float) -> NDArray[np.int64]:
    ends = np.searchsorted(logs, centres + half, side="left")
    return np.asarray(ends - np.searchsorted(logs, centres - half, side="left"))


def _valley(logs: NDArray[np.float64], start: float, end: float) -> float:
    """Where the values lie thinnest between two peaks."""
    centres = np.linspace(start, end, 61)
    counts = _count(logs, centres, (end - start) / 12)
    return float(np.median(centres[counts == counts.min()]))


def _factor(low: NDArray[np.float64], high: NDArray[np.float64]) -> float | None:
    ratio = np.exp(np.median(high) - np.median(low))
    near = min(FACTORS, key=lambda factor: abs(np.log(ratio / factor)))
    return near if 1 / TOLERANCE <= ratio / near <= TOLERANCE else None


def _of_one_shape(low: NDArray[np.float64], high: NDArray[np.float64]) -> bool:
    few = min(len(low), len(high))
    if few < GROUP or min(len(np.unique(low)), len(np.unique(high))) < DIFFERENT:
        return False
    # The critical distance at a level of 0.01; a little more is allowed for the tails that the cut takes off.
    critical = 1.63 * np.sqrt((len(low) + len(high)) / (len(low) * len(high)))
    return bool(ks_2samp(low - np.median(low), high - np.median(high)).statistic <= max(0.2, critical))
