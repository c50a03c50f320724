"""The test of proportional hazards finds what is planted and is that of lifelines; its frame tells of no patient."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relapse.candidates.base import outcome
from relapse.candidates.catalogue import family
from relapse.cohorts.schema import Cohort
from relapse.explanation.hazards import FEWEST, proportional_hazards
from relapse.explanation.regression import regression
from relapse.figures.explanation.files import write_regression
from relapse.ground.files import read_json
from tests.explanation.conftest import Fitted


def _declared() -> Cohort:
    number = {"type": "continuous", "range": [-100, 1000]}
    return Cohort.model_validate(
        {
            "name": "mine",
            "title": "Mine",
            "source": {"csv": "mine.csv"},
            "licence": "none",
            "citation": "none",
            "endpoint": {"kind": "survival", "time": "t", "event": "event", "unit": "month", "horizons": ["12 m"]},
            "features": {name: number for name in ("fin", "years", "race", "wexp", "mar", "paro", "prio")},
            "reference": ["fin", "years", "race", "wexp", "mar", "paro", "prio"],
        }
    )


def _tested(cohort: Cohort, table: pd.DataFrame) -> dict[str, tuple[float, float]]:
    head = family("reference").survival
    assert head is not None
    found = proportional_hazards(head.model(cohort, {}, 1).fit(table, outcome(table, cohort)), table, cohort)
    assert found is not None
    return {item.label: (item.statistic, item.p) for item in found[0]}


def test_chi_squares_are_those_that_the_handbook_of_lifelines_prints() -> None:
    from lifelines.datasets import load_rossi

    rossi = load_rossi().rename(columns={"week": "time", "arrest": "event", "age": "years"}).astype(float)
    found = _tested(_declared(), rossi.assign(patient=[str(place) for place in range(len(rossi))]))
    # "Testing the proportional hazard assumptions", time transformed by Kaplan-Meier, as printed
    printed = {"years": 11.03, "fin": 0.02, "mar": 0.60, "paro": 0.12, "prio": 0.02, "race": 1.44, "wexp": 7.48}
    assert {name: round(found[name][0], 2) for name in printed} == pytest.approx(printed, abs=0.011)


def test_a_planted_change_of_the_hazard_ratio_is_found_and_only_there() -> None:
    rng = np.random.default_rng(3)
    size, cohort = 600, _declared()
    table = pd.DataFrame(rng.normal(size=(size, 7)), columns=list(cohort.features))
    # the ratio of "fin" is 4.5 until month 10 and 1 from then on
    early = rng.exponential(20 * np.exp(-1.5 * table["fin"] - 0.5 * table["mar"]))
    late = 10 + rng.exponential(20 * np.exp(-0.5 * table["mar"]))
    time, end = np.where(early < 10, early, late), rng.uniform(5, 60, size)
    table = table.assign(
        time=np.minimum(time, end), event=(time <= end).astype(int), patient=np.arange(size).astype(str)
    )
    found = _tested(cohort, table)
    assert found["fin"][1] < 1e-4
    assert found["mar"][1] > 0.01


def test_the_frame_holds_means_of_ten_events_or_more_and_a_curve_around_the_coefficient(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], fitted: Fitted
) -> None:
    table, model = tables["gbsg"], fitted("gbsg", "reference").model
    found = proportional_hazards(model, table, cohorts["gbsg"])
    assert found is not None
    tests, frame = found
    events = int(table["event"].sum())
    assert [item.label for item in tests] == ["Tumour size", "Positive lymph nodes", "Tumour grade"]
    assert tests[2].p == pytest.approx(0.003727, abs=1e-5)
    assert all(item.p_holm >= item.p for item in tests)
    for _, part in frame.groupby("term"):
        assert (part["kind"] == "mean").sum() <= events / FEWEST
        curve = part[part["kind"] == "curve"]
        assert (curve["lower"] < curve["coefficient"]).all()
    few = table[table["event"].eq(0) | (table["event"].cumsum() <= 12)]
    short = proportional_hazards(model, few, cohorts["gbsg"])
    assert short is not None
    assert (short[1]["kind"] == "mean").all()
    assert short[1].groupby("term").size().eq(1).all()


def test_patients_with_several_rows_are_not_tested(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], fitted: Fitted
) -> None:
    twice = pd.concat([tables["gbsg"], tables["gbsg"]], ignore_index=True)
    assert proportional_hazards(fitted("gbsg", "reference").model, twice, cohorts["gbsg"]) is None
    assert proportional_hazards(fitted("wpbc", "reference").model, tables["wpbc"], cohorts["wpbc"]) is None


def test_files_hold_what_was_found_and_the_picture_tells_each_term(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], fitted: Fitted, tmp_path: Path
) -> None:
    for name, drawn in (("gbsg", True), ("wpbc", False)):
        folder = tmp_path / name
        models = {"reference": fitted(name, "reference")}
        write_regression(folder / "r.json", *regression(models, tables[name], cohorts[name]), cohort=cohorts[name])
        assert len(read_json(folder / "r.json")["hazards"]) == (3 if drawn else 0)
        picture = folder / "hazards_over_time.svg"
        assert picture.is_file() == drawn
        if drawn:
            assert all(label in picture.read_text() for label in ("Tumour size, per mm", "Tumour grade, per level"))
            assert next(iter(pd.read_csv(folder / "hazards_over_time.csv"))) == "term"
