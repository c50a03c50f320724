"""Descriptions say what the table holds, count each row once, and never tell who is extreme or alone."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from relapse.cohorts.schema import Cohort
from relapse.description.frames import (
    DRAWN,
    FRAMES,
    OUTCOME,
    PAIRED,
    densities,
    distributions,
    levels,
    missing_together,
    missing_values,
    rank_correlations,
)
from relapse.description.outcome import FEWEST, outcome_groups
from relapse.description.table_one import OVERALL, table_one
from relapse.evaluation.statistics.ranking.concordance import concordance
from relapse.figures.description import description_figures

NAMES = ("gbsg", "wpbc", "radiomics")


@pytest.mark.parametrize("name", NAMES)
def test_every_row_stands_in_one_bar_or_level(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], name: str
) -> None:
    frame = distributions(tables[name], cohorts[name])
    for feature, part in frame.groupby("feature"):
        few = (part["rows"] == FEWEST - 1).sum()
        assert 0 <= part["rows"].sum() - tables[name][feature].notna().sum() <= few * (FEWEST - 2)
        assert not part["rows"].between(1, FEWEST - 2).any()
        assert part["missing"].iloc[0] == tables[name][feature].isna().mean()


def test_no_axis_ends_at_a_patient_s_value(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    frame = distributions(tables["gbsg"], cohorts["gbsg"])
    for feature in ("age", "tsize", "progrec", "estrec", "pnodes"):
        mine = frame[frame["feature"] == feature]
        assert mine["upper"].max() < tables["gbsg"][feature].max()
    dense = densities(tables["gbsg"], cohorts["gbsg"])
    assert dense.groupby("feature")["value"].max()["pnodes"] < tables["gbsg"]["pnodes"].max()


def test_a_density_s_quartiles_are_those_of_its_group(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    table, cohort = tables["wpbc"], cohorts["wpbc"]
    frame = densities(table, cohort)
    for value, group in enumerate(outcome_groups(cohort)):
        part = frame[(frame["feature"] == "mean_area") & (frame["group"] == group)]
        expected = table.loc[table["event"] == value, "mean_area"].median()
        assert part["median"].iloc[0] == pytest.approx(expected)
    assert frame.groupby("feature")["density"].max().eq(1).all()


def test_shares_of_levels_add_to_one_in_each_group(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    frame = levels(tables["radiomics"], cohorts["radiomics"])
    shares = frame.groupby(["feature", "group"])["share"].sum()
    assert shares.between(1, 1.1).all()
    assert (shares == 1).any()


def test_rank_correlations_are_kendall_s_and_with_a_time_harrell_s(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    frame = rank_correlations(tables["radiomics"], cohorts["radiomics"]).set_index(["first", "second"])["tau"]
    table = tables["radiomics"]
    codes = {name: table[name].cat.codes for name in ("shape", "margin")}
    assert frame["shape", "margin"] == pytest.approx(kendalltau(codes["shape"], codes["margin"]).statistic)
    assert frame["size", OUTCOME] == pytest.approx(kendalltau(table["size"], table["event"]).statistic)
    timed = rank_correlations(tables["gbsg"], cohorts["gbsg"]).set_index(["first", "second"])["tau"]
    table = tables["gbsg"]
    expected = 2 * concordance(table["time"], table["event"], table["pnodes"].to_numpy(dtype=float)) - 1
    assert timed["pnodes", OUTCOME] == pytest.approx(expected)
    assert len(timed) == 8 * 7 / 2 + 8


def test_missing_values_are_counted_alone_and_together(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    table, cohort = tables["wpbc"], cohorts["wpbc"]
    before = int(table["pnodes"].isna().sum())
    assert before == FEWEST - 1
    table.loc[table["pnodes"].notna().to_numpy().nonzero()[0][:10], ["tsize", "pnodes"]] = np.nan
    table.loc[[180], "mean_area"] = np.nan
    alone = missing_values(table, cohort).set_index("feature")["rows"]
    assert (alone["tsize"], alone["pnodes"], alone["mean_area"]) == (10, 10 + before, FEWEST - 1)
    together = missing_together(table, cohort).set_index("features")["rows"]
    assert together.index[0] == "none"
    assert together["tsize + pnodes"] == 10
    assert together.sum() == len(table) + FEWEST - 2


def test_table_one_counts_and_hides_what_may_be_somebody(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    table, cohort = tables["gbsg"], cohorts["gbsg"]
    lines = {(line.feature, line.level): line.cells for line in table_one(table, cohort)}
    assert lines["", ""][OVERALL] == "686"
    assert lines["tgrade", "III"] == {OVERALL: "161 (23%)", "censored": "82 (21%)", "event seen": "79 (26%)"}
    assert lines["tsize", "median (quartiles)"][OVERALL] == "25 (20 to 35)"
    low = table[table["tgrade"] == "I"]
    few = pd.concat([low[low["event"] == 1].iloc[:2], low[low["event"] == 0].iloc[:2]])
    rest = table[table["tgrade"] != "I"]
    hidden = {(line.feature, line.level): line.cells for line in table_one(pd.concat([few, rest]), cohort)}
    assert hidden["tgrade", "I"][OVERALL] == f"<{FEWEST}"
    one_hidden = pd.concat([table[(table["tgrade"] == "I") & (table["event"] == 0)], few[few["event"] == 1], rest])
    cells = {(line.feature, line.level): line.cells for line in table_one(one_hidden, cohort)}["tgrade", "I"]
    assert cells["event seen"] == f"<{FEWEST}"
    assert "(" not in cells[OVERALL], "the count of all would give the hidden one away"
    lacking = table.assign(age=table["age"].where(table.index > 1))
    shown = {(line.feature, line.level): line.cells for line in table_one(lacking, cohort)}
    assert shown["age", "missing"][OVERALL] == f"<{FEWEST}"


def test_views_and_patients_are_both_counted(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    first, second, *_ = table_one(tables["radiomics"], cohorts["radiomics"])
    assert (first.label, first.cells[OVERALL]) == ("Number of rows", "270")
    assert (second.label, second.cells[OVERALL]) == ("Number of patients", "148")


@pytest.mark.parametrize("name", NAMES)
def test_every_feature_is_drawn_and_told(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], name: str
) -> None:
    cohort = cohorts[name]
    frames = {key: frame(tables[name], cohort) for key, frame in FRAMES.items()}
    drawn = description_figures(frames, cohort)
    pages = [figure for key, figure in drawn.items() if key.startswith("distributions")]
    told = " ".join(str(figure.get_label()) for figure in pages)
    assert all(cohort.label(feature) in told for feature in cohort.features)
    assert sum(bool(axes.get_title(loc="left")) for page in pages for axes in page.axes) == len(cohort.features)
    heat = np.asarray(drawn["rank_correlations"].axes[0].images[0].get_array())
    assert np.isnan(np.diag(heat)).all()
    np.testing.assert_array_equal(heat, heat.T)


def test_of_a_wide_table_the_first_features_are_drawn_and_paired_and_all_are_held() -> None:
    size = DRAWN + 5
    names = [f"f{number:03d}" for number in range(size)]
    cohort = Cohort.model_validate(
        {
            "name": "wide",
            "title": "Wide",
            "source": {"csv": "data/raw/wide.csv"},
            "licence": "none",
            "citation": "none",
            "endpoint": {"kind": "binary", "event": "event"},
            "features": {name: {"type": "continuous", "range": [-8, 8]} for name in names},
            "reference": names[:1],
            "imbalance": "none",
        }
    )
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(40, size)), columns=names).assign(event=np.arange(40) % 2)
    frames = {key: frame(table, cohort) for key, frame in FRAMES.items()}
    ranked = frames["rank_correlations"]
    assert len(ranked) == PAIRED * (PAIRED - 1) / 2 + size
    assert (
        set(ranked.loc[ranked["second"] == OUTCOME, "first"]) == set(frames["distributions"]["feature"]) == set(names)
    )
    drawn = description_figures(frames, cohort)
    heat = np.asarray(drawn["rank_correlations"].axes[0].images[0].get_array())
    assert heat.shape == (PAIRED + 1, PAIRED + 1)
    pages = [figure for key, figure in drawn.items() if key.startswith("distributions")]
    assert sum(bool(axes.get_title(loc="left")) for page in pages for axes in page.axes) == DRAWN
