"""A table of several events: the relapse is proposed, the others are named with their times, and none is a feature."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import ingest

from .making import PATIENTS
from .running import run


def _drawn(seed: int = 3) -> dict[str, pd.Series]:
    """Relapse and death of drawn patients, each with days to it or to the end of follow-up; some die without relapse."""
    rng = np.random.default_rng(seed)
    relapse_at, death_at = rng.exponential(2500, PATIENTS), rng.exponential(4500, PATIENTS)
    end = rng.uniform(1500, 5000, PATIENTS)
    death_at = np.where(relapse_at < death_at, relapse_at + rng.exponential(900, PATIENTS), death_at)
    found = {
        "relapse": (relapse_at < np.minimum(death_at, end)).astype(int),
        "relapse_days": np.minimum(relapse_at, np.minimum(death_at, end)).round() + 1,
        "death": (death_at < end).astype(int),
        "death_days": np.minimum(death_at, end).round() + 1,
        "age": rng.integers(30, 85, PATIENTS),
        "nodes": rng.poisson(3, PATIENTS),
        "size": rng.integers(5, 60, PATIENTS),
    }
    return {name: pd.Series(values) for name, values in found.items()}


def rotterdam() -> pd.DataFrame:
    """The names and order of R's `survival::rotterdam`."""
    at = _drawn()
    return pd.DataFrame(
        {
            "pid": range(1, PATIENTS + 1),
            "age": at["age"],
            "size": at["size"],
            "nodes": at["nodes"],
            "rtime": at["relapse_days"],
            "recur": at["relapse"],
            "dtime": at["death_days"],
            "death": at["death"],
        }
    )


def metabric() -> pd.DataFrame:
    """The names, order and codes of cBioPortal's clinical tables."""
    at = _drawn()
    return pd.DataFrame(
        {
            "PATIENT_ID": [f"MB-{place:04d}" for place in range(PATIENTS)],
            "LYMPH_NODES_EXAMINED_POSITIVE": at["nodes"],
            "AGE_AT_DIAGNOSIS": at["age"] + 0.25,
            "OS_MONTHS": (at["death_days"] / 30.44).round(2),
            "OS_STATUS": at["death"].map({0: "0:LIVING", 1: "1:DECEASED"}),
            "VITAL_STATUS": at["death"]
            .map({0: "Living", 1: "Died of Disease"})
            .where(at["age"] < 80, "Died of Other Causes"),
            "RFS_MONTHS": (at["relapse_days"] / 30.44).round(2),
            "RFS_STATUS": at["relapse"].map({0: "0:Not Recurred", 1: "1:Recurred"}),
            "TUMOR_SIZE": at["size"] + 0.5,
        }
    )


def transbig() -> pd.DataFrame:
    """The names of the Bioconductor package breastCancerTRANSBIG: four events, the last of which no word tells."""
    at = _drawn()
    return pd.DataFrame(
        {
            "samplename": [f"VDX_{place:04d}" for place in range(PATIENTS)],
            "size": at["size"] / 10,
            "age": at["age"],
            "t.rfs": at["relapse_days"],
            "e.rfs": at["relapse"],
            "t.os": at["death_days"],
            "e.os": at["death"],
            "t.dmfs": at["relapse_days"] + 3,
            "e.dmfs": at["relapse"],
            "t.tdm": at["relapse_days"] + 4,
            "e.tdm": at["relapse"],
        }
    )


def _drafted(table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> str:
    monkeypatch.chdir(tmp_path)
    table.to_csv("clinic.csv", index=False)
    assert run("cohort", "new", "clinic.csv", "--yes", *options) == 0
    return Path("data/cohorts/clinic.yaml").read_text()


LAYOUTS = {
    "rotterdam": (rotterdam, ("recur", "rtime"), {"death": "dtime"}, {"death", "dtime", "recur", "rtime"}),
    "metabric": (
        metabric,
        ("RFS_STATUS", "RFS_MONTHS"),
        {"OS_STATUS": "OS_MONTHS"},
        {"OS_STATUS", "OS_MONTHS", "RFS_STATUS", "RFS_MONTHS"},
    ),
    "transbig": (
        transbig,
        ("e.rfs", "t.rfs"),
        {"e.os": "t.os", "e.dmfs": "t.dmfs", "e.tdm": "t.tdm"},
        {f"{kind}.{what}" for kind in "et" for what in ("rfs", "os", "dmfs", "tdm")},
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_relapse_is_proposed_and_the_other_events_are_named_with_their_times(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, (event, time), others, events = LAYOUTS[layout]
    text = _drafted(make(), tmp_path, monkeypatch)
    cohort = read_cohort(Path("data/cohorts/clinic.yaml"))
    assert cohort.survival is not None
    assert (cohort.endpoint.event, cohort.survival.time, cohort.survival.also) == (event, (time,), ())
    for other, when in others.items():
        assert f"# also: [{{event: {other}, time: {when}}}]" in text
        assert re.search(rf"# TODO {re.escape(other)} \(time: {re.escape(when)}\) is", text)
    assert not events & {cohort.source_column(name) for name in cohort.features}
    assert all(re.search(rf"^#   {re.escape(name)}: ", text, re.MULTILINE) for name in events - {event, time})


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_proposed_lines_taken_in_count_the_other_event_as_well(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, _, others, _ = LAYOUTS[layout]
    text, before = (
        _drafted(make(), tmp_path, monkeypatch),
        ingest(read_cohort(Path("data/cohorts/clinic.yaml")), root=Path()),
    )
    path, other = Path("data/cohorts/clinic.yaml"), next(iter(others))
    ready = re.search(rf"  # also: \[\{{event: {re.escape(other)}.*\n(  # values: .*\n)?", text)
    assert ready
    if ready[1]:
        text = re.sub(r"(?m)^  values: .*\n", "", text)
    path.write_text(text.replace(ready[0], ready[0].replace("# ", "")))
    after = ingest(read_cohort(path), root=Path())
    assert len(after.table) == len(before.table) == PATIENTS
    either = (_drawn()["relapse"] | _drawn()["death"]).sum()
    assert after.table["event"].sum() == either > before.table["event"].sum()
    assert (after.table["time"] <= before.table["time"]).all()


def test_death_without_a_time_of_its_own_is_offered_with_the_shared_one_and_its_condition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = _drafted(rotterdam().drop(columns="dtime"), tmp_path, monkeypatch)
    assert "# also: [{event: death, time: rtime}]" in text
    assert "without a time of its own" in text
    assert re.search(r"right only if\s(#\s+)?rtime\sruns", text)


def test_codes_that_contradict_each_other_are_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = rotterdam()
    text = _drafted(table.assign(death=table["death"] + 1), tmp_path, monkeypatch)
    assert "# also:" not in text
    assert re.search(r"the code 1 means one thing in\s+(#\s+)?recur and another in death", text)


def test_whoever_names_death_as_the_outcome_is_told_of_the_relapse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = _drafted(rotterdam(), tmp_path, monkeypatch, "--outcome", "death", "--time", "dtime")
    assert "# also: [{event: recur, time: rtime}]" in text
    assert "recur (time: rtime) is another event" in text
    assert not {"recur", "rtime"} & set(read_cohort(Path("data/cohorts/clinic.yaml")).features)


@pytest.mark.parametrize("name", ["event", "status", "outcome", "cens_stat", "event_local"])
def test_an_event_by_its_name_is_no_feature_whatever_else_there_is(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = rotterdam()
    text = _drafted(table.assign(**{name: table["death"]}), tmp_path, monkeypatch)
    assert name not in read_cohort(Path("data/cohorts/clinic.yaml")).features
    assert re.search(rf"^#   {name}: (an event, by its name|another event)", text, re.MULTILINE)


def test_a_status_at_the_beginning_stays_a_feature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    more = {name: rng.integers(0, 2, PATIENTS) for name in ("er_status", "margin_status", "her2_status", "node_status")}
    _drafted(rotterdam().assign(**more), tmp_path, monkeypatch)
    assert set(more) <= set(read_cohort(Path("data/cohorts/clinic.yaml")).predictors)
