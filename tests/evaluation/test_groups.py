"""Risk groups are thirds of the last horizon's risk, and their test is that of the curves drawn."""

from pathlib import Path

import numpy as np
import pandas as pd

from relapse.evaluation.curves import risk_group_frame
from relapse.evaluation.evidence import gather, read_evidence, write_evidence
from relapse.evaluation.groups import groups_apart, risk_groups
from relapse.evaluation.metrics import Endpoint
from relapse.evaluation.statistics.survival.log_rank import log_rank
from tests.evaluation.test_evidence import ENDPOINT, timed


def _independent(noise: float = 1.0) -> pd.DataFrame:
    found = timed(noise=noise)
    return found.assign(patient=found["row"].astype(str))


def test_groups_are_the_thirds_that_the_curves_show_lowest_risk_first() -> None:
    table, last = _independent(), ENDPOINT.horizons[-1]
    codes = risk_groups(table, horizon=last)
    assert np.bincount(codes).tolist() == [100, 100, 100]
    assert table.loc[codes == 0, last.column].max() <= table.loc[codes == 1, last.column].min()
    drawn = risk_group_frame(table, horizon=last).groupby("group", sort=False)["rows"].first()
    assert drawn.tolist() == np.bincount(codes).tolist()


def test_a_ranking_that_says_something_tells_groups_apart_and_noise_does_not() -> None:
    good, table = groups_apart(_independent(noise=0.3), ENDPOINT), _independent()
    assert good is not None
    assert (good.p < 1e-6, good.degrees) == (True, 2)
    noise = table.assign(risk_5y=np.random.default_rng(8).random(len(table)))
    none = groups_apart(noise, ENDPOINT)
    assert none is not None
    assert none.p > 0.01
    assert none == log_rank(table["time"], table["event"], risk_groups(noise, horizon=ENDPOINT.horizons[-1]))


def test_patients_with_several_rows_an_endpoint_without_time_and_one_group_have_no_test() -> None:
    table = _independent()
    assert groups_apart(timed(), ENDPOINT) is None
    assert groups_apart(table, Endpoint()) is None
    assert groups_apart(table.assign(risk_5y=0.3), ENDPOINT) is None


def test_the_test_goes_to_json_and_back(tmp_path: Path) -> None:
    tables = {"reference": _independent(noise=2.0), "better": _independent(noise=0.3)}
    evidence = gather(tables, ENDPOINT, cohort="x", resamples=50, seed=1)
    write_evidence(tmp_path / "e.json", evidence)
    back = read_evidence(tmp_path / "e.json").candidate("better").risk_groups
    assert back is not None
    assert back == groups_apart(tables["better"], ENDPOINT)
