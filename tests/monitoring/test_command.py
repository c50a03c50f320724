"""``relapse monitor`` as a person runs it: statuses, files, and what is said where something does not fit."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families

from relapse.bundle.manifest import MANIFEST, MONITORING, SEAL, seal
from relapse.commands.app import main
from relapse.ground.files import read_json, sha256_of_file, write_json
from relapse.serving.answering import NoteKind
from relapse.serving.desk import UNLIKE
from tests.bundle.making import small_bundle
from tests.serving.browsing import BROWSER, DRIVER, OPTIONS, RULES

from .conftest import KEY


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command: its status, and what it said."""

    def command(*arguments):
        monkeypatch.setattr("sys.argv", ["relapse", "monitor", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        captured = capsys.readouterr()
        return caught.value.code, captured.out + captured.err

    return command


def _table(mine, size=240, **planted):
    """A table of patients with their days, and their outcomes by chance of a risk."""
    table = mine.patients(size).assign(day=[str(np.datetime64("2026-01-05") + row // 3) for row in range(size)])
    for name, change in planted.items():
        table.loc[size // 3 :, name] = change(table.loc[size // 3 :, name])
    return table


def _kept(mine, table, folder):
    """The store that a service would have left, a file a day."""
    from relapse.monitoring.store import Store

    manifest, training = mine.bundle.manifest, mine.bundle.monitored
    store = Store(folder, KEY, model=manifest.name, version=manifest.version, training=training)
    risks = mine.bundle.model.predict_risk(table, [3 * 365.25] if manifest.cohort == "meadow" else None)[:, 0]
    for (_, row), risk in zip(table.iterrows(), risks, strict=True):
        line = store.line(
            row["patient"].encode(),
            lambda name, of=row: None if pd.isna(of[name]) else of[name],
            risk=float(risk),
            unlike=False,
        )
        with (folder / f"{row['day']}.jsonl").open("a") as stream:
            stream.write(json.dumps(line) + "\n")
    return folder


def test_nothing_drifted_ends_with_0_and_a_shift_with_3(run, watched, tmp_path):
    mine = watched["meadow"]
    quiet = _kept(mine, _table(mine), tmp_path / "quiet")
    status, said = run(mine.folder, "--store", quiet, "--until", "2026-12-31")
    assert status == 0
    assert "No alarm: nothing found among 240 patients" in said
    moved = _kept(mine, _table(mine, tex000=lambda values: values + 12), tmp_path / "moved")
    status, said = run(mine.folder, "--store", moved, "--until", "2026-12-31")
    assert status == 3
    assert re.search(r"W001 tex000: above \S+ in \d+% of the \d+ patients since 2026-0[12]-\d\d, and in \d+%", said)


def test_a_table_and_the_store_of_the_same_patients_find_the_same(run, watched, tmp_path):
    mine = watched["meadow"]
    table = _table(mine, nodes=lambda values: values.where(np.arange(len(values)) % 3 == 0))
    table.to_csv(tmp_path / "table.csv", index=False)
    _kept(mine, table, tmp_path / "kept")
    for way in (("--store", tmp_path / "kept"), ("--table", tmp_path / "table.csv")):
        status, _ = run(mine.folder, *way, "--until", "2026-12-31", "--out", tmp_path / way[0])
        assert status == 3
    store, tabled = (read_json(tmp_path / way / "monitoring.json") for way in ("--store", "--table"))
    # The stores of this test say of nobody that she is unlike the training.
    both = [[item for item in found["streams"] if item["code"] != "W005"] for found in (store, tabled)]
    assert both[0] == both[1]
    assert [item["code"] for item in store["findings"]] == ["W002"]


def test_outcomes_are_joined_by_the_key_and_watched(run, watched, tmp_path, monkeypatch):
    mine = watched["harbour"]
    table = _table(mine, 400)
    kept = _kept(mine, table, tmp_path / "kept")
    risk = mine.bundle.model.predict_risk(table, None)[:, 0]
    outcome = pd.DataFrame(
        {"patient": table["patient"], "event": (np.random.default_rng(1).random(400) < risk).astype(int)}
    )
    outcome["event"] = np.where(
        np.arange(400) > 100, 1 - (outcome["event"] & (np.arange(400) % 7 == 0)), outcome["event"]
    )
    outcome.to_csv(tmp_path / "outcomes.csv", index=False)
    arguments = (mine.folder, "--store", kept, "--outcomes", tmp_path / "outcomes.csv", "--until", "2026-12-31")
    status, said = run(*arguments)
    assert status == 2
    assert "RELAPSE_MONITOR_KEY" in said
    monkeypatch.setenv("RELAPSE_MONITOR_KEY", KEY.decode())
    status, said = run(*arguments, "--out", tmp_path / "out")
    assert status == 3
    assert "400 patients have an outcome that counts" in said
    assert re.search(r"W006 Calibration: \d+ events among the \d+ patients since \S+, \S+ expected", said)
    found = read_json(tmp_path / "out" / "monitoring.json")
    assert found["performance"][-1]["ratio"] > 1.5
    monkeypatch.setenv("RELAPSE_MONITOR_KEY", "another key of sixteen")
    status, said = run(*arguments)
    assert status == 0
    assert "0 patients have an outcome that counts" in said
    assert "400 of their time have none in the table" in said


def test_few_patients_are_told_and_raise_no_alarm(run, watched, tmp_path):
    mine = watched["meadow"]
    kept = _kept(mine, _table(mine, 12), tmp_path / "kept")
    status, said = run(mine.folder, "--store", kept, "--until", "2026-12-31", "--out", tmp_path / "out")
    assert status == 0
    assert "Too few to say anything: 12 patients, and 20 are needed. No alarm." in said
    assert "Too few" in (tmp_path / "out" / "monitoring.html").read_text()
    assert read_json(tmp_path / "out" / "monitoring.json")["alarm"] is False


def test_a_day_of_the_look_leaves_out_whoever_came_later(run, watched, tmp_path):
    mine = watched["meadow"]
    moved = _kept(mine, _table(mine, tex000=lambda values: values + 12), tmp_path / "moved")
    status, said = run(mine.folder, "--store", moved, "--until", "2026-01-30")
    assert status == 0
    assert "78 patients" in said


def test_a_champion_that_changed_is_watched_anew_and_the_other_is_named(run, watched, tmp_path):
    mine = watched["meadow"]
    kept = _kept(mine, _table(mine), tmp_path / "kept")
    for file in sorted(kept.iterdir())[:40]:
        file.write_text(file.read_text().replace(mine.bundle.manifest.version, "the one before"))
    status, said = run(mine.folder, "--store", kept, "--until", "2026-12-31")
    assert status == 0
    assert "not looked at: 120 answers of relapse-meadow version the one before" in said
    assert "among 120 patients" in said


def test_the_files_are_whole_and_the_page_loads_nothing(run, watched, tmp_path):
    mine = watched["meadow"]
    moved = _kept(mine, _table(mine, tex000=lambda values: values + 12), tmp_path / "moved")
    run(mine.folder, "--store", moved, "--until", "2026-12-31", "--out", tmp_path / "out")
    page = (tmp_path / "out" / "monitoring.html").read_text()
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)
    assert "among 240 patients." in page
    assert all(text in page for text in ("W001", "Evidence over time", "What went in", "What came out"))
    assert not re.search(r"\bN\d+\b", page)
    families = {
        item.name: item for item in text_string_to_metric_families((tmp_path / "out" / "monitoring.prom").read_text())
    }
    alarms = {
        sample.labels["feature"]: sample.value
        for sample in families["relapse_monitor_alarm"].samples
        if sample.labels["code"] == "W001"
    }
    assert alarms["tex000"] == 1
    assert sum(alarms.values()) == 1
    first = {path.name: path.read_bytes() for path in sorted((tmp_path / "out").rglob("*.*"))}
    run(mine.folder, "--store", moved, "--until", "2026-12-31", "--out", tmp_path / "out")
    assert {path.name: path.read_bytes() for path in sorted((tmp_path / "out").rglob("*.*"))} == first


@pytest.mark.slow
@pytest.mark.skipif(not (BROWSER and DRIVER), reason="Chromium with its driver is not installed")
def test_a_browser_shows_the_page_without_faults_and_axe_finds_none(run, watched, tmp_path):
    from axe_core_python.selenium import Axe
    from selenium import webdriver

    mine = watched["harbour"]
    moved = _kept(mine, _table(mine, tex000=lambda values: values + 12), tmp_path / "moved")
    run(mine.folder, "--store", moved, "--until", "2026-12-31", "--out", tmp_path / "out")
    options = webdriver.ChromeOptions()
    for option in OPTIONS:
        options.add_argument(option)
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)) as browser:
        browser.get((tmp_path / "out" / "monitoring.html").as_uri())
        found = Axe().run(browser, options=RULES)["violations"]
        assert [item["id"] for item in found] == []
        assert browser.get_log("browser") == []
        widths = browser.execute_script("return [...document.images].map(image => image.naturalWidth)")
        assert widths
        assert all(widths)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="age"), "column missing: age"),
        (lambda table: table.drop(columns="day"), r"column missing: day \(the day, --day names another\)"),
        (
            lambda table: table.assign(grade="worst"),
            "grade: 240 rows have a level that is not declared. Allowed are low, high",
        ),
        (lambda table: table.assign(tex000="x"), "tex000: 240 rows hold no number"),
        (lambda table: table.assign(day="5.1.2026"), "day: 240 rows have no day such as"),
        (lambda table: table.assign(risk=1.5), "risk: 240 rows have no risk between 0 and 1"),
        (lambda table: table.iloc[:0], "no rows"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_by_column_and_without_a_value(run, watched, tmp_path, change, message):
    mine = watched["meadow"]
    change(_table(mine).astype({"grade": str})).to_csv(tmp_path / "table.csv", index=False)
    status, said = run(mine.folder, "--table", tmp_path / "table.csv")
    assert status == 2
    assert re.search(message, said)


def test_rows_without_a_value_that_the_model_needs_are_left_out_and_told(run, watched, tmp_path):
    mine = watched["meadow"]
    table = _table(mine)
    table.loc[:9, "age"] = np.nan
    table.to_csv(tmp_path / "table.csv", index=False)
    status, said = run(mine.folder, "--table", tmp_path / "table.csv", "--until", "2026-12-31")
    assert status == 0
    assert "10 rows left out" in said
    assert "230 patients" in said


def test_what_cannot_be_looked_at_is_said_with_its_remedy(run, watched, tmp_path):
    mine = watched["meadow"]
    status, said = run(mine.folder)
    assert (status, "--store FOLDER" in said) == (2, True)
    status, said = run(mine.folder, "--store", tmp_path / "none")
    assert (status, "no such folder" in said) == (2, True)
    status, said = run(mine.folder, "--store", tmp_path, "--until", "soon")
    assert (status, "expected a day such as" in said) == (2, True)
    old = tmp_path / "old"
    shutil.copytree(mine.folder, old)
    (old / MONITORING).unlink()
    files = {name: digest for name, digest in read_json(old / MANIFEST)["files"].items() if name != MONITORING}
    write_json(old / MANIFEST, read_json(old / MANIFEST) | {"files": files})
    (old / SEAL).write_text(seal(sha256_of_file(old / MANIFEST)))
    status, said = run(old, "--store", tmp_path)
    assert status == 1
    assert "written before monitoring was there. It can be served; the next version" in said


def test_a_real_cohort_is_watched_by_the_names_of_its_source(run, cohorts, tables, tmp_path):
    cohort, table = cohorts["gbsg"], tables["gbsg"]
    small_bundle(tmp_path / "gbsg", cohort, table, "reference", monitored=True)
    drawn = table.sample(300, replace=True, random_state=1).reset_index(drop=True)
    named = drawn.rename(columns={name: cohort.source_column(name) for name in cohort.predictors})
    named["day"] = [str(np.datetime64("2020-01-05") + row // 3) for row in range(300)]
    named["patient"] = range(300)
    named.to_csv(tmp_path / "table.csv", index=False)
    status, said = run(tmp_path / "gbsg", "--table", tmp_path / "table.csv", "--until", "2026-12-31")
    assert status == 0, said
    named.assign(age=named["age"] + 12).to_csv(tmp_path / "table.csv", index=False)
    status, said = run(tmp_path / "gbsg", "--table", tmp_path / "table.csv", "--until", "2026-12-31")
    assert status == 3
    assert "W001" in said


def test_the_notes_that_count_as_unlike_are_those_that_a_table_can_have():
    assert set(UNLIKE) == {NoteKind.UNUSUAL, NoteKind.OUTSIDE_TRAINING}


def test_where_only_the_fallback_answered_features_are_watched_and_no_risks(run, watched, tmp_path):
    mine = watched["meadow"]
    kept = _kept(mine, _table(mine), tmp_path / "kept")
    for file in kept.iterdir():
        file.write_text(re.sub(r'"risk": [0-9.]+, "unlike": false', '"risk": null, "unlike": null', file.read_text()))
    status, said = run(mine.folder, "--store", kept, "--until", "2026-12-31", "--out", tmp_path / "out")
    assert status == 0
    assert "240 patients" in said
    found = read_json(tmp_path / "out" / "monitoring.json")
    assert {item["patients"] for item in found["streams"] if item["code"] in ("W003", "W004", "W005")} == {0}


def test_a_store_of_another_model_alone_is_too_little_to_say_anything(run, watched, tmp_path):
    mine = watched["meadow"]
    kept = _kept(mine, _table(mine, 30), tmp_path / "kept")
    for file in kept.iterdir():
        file.write_text(file.read_text().replace(mine.bundle.manifest.version, "the one before"))
    status, said = run(mine.folder, "--store", kept, "--until", "2026-12-31", "--out", tmp_path / "out")
    assert status == 0
    assert "Too few to say anything: 0 patients" in said
    assert "30 answers of relapse-meadow version the one before" in said
