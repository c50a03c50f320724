"""What a service keeps: enough to monitor, nothing of a patient, whole under several workers."""

import json
import multiprocessing
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from relapse.ground.errors import ServingError, SourceError
from relapse.monitoring.store import Store, pseudonym, read_store
from relapse.serving.desk import Desk
from relapse.serving.patients import patient_model
from relapse.serving.settings import Serving
from tests.bundle.blocks import a_patient, without
from tests.room import room_for

from .conftest import KEY


def _settings(folder):
    return Serving(token=None, audit_log=None, audit_key=None, seconds=10, monitor=folder, monitor_key=KEY)


def _asked(watched, table):
    """The patients of a table as the service takes them."""
    bundle = watched.bundle
    model = patient_model(bundle.cohort, bundle.optional_blocks)
    rows = table[bundle.cohort.predictors].astype(object).to_dict(orient="records")
    whole = ("age", "nodes")
    return [
        model(
            **{name: None if pd.isna(value) else int(value) if name in whole else value for name, value in row.items()}
        )
        for row in rows
    ]


def _read(watched, folder):
    manifest = watched.bundle.manifest
    return read_store(folder, model=manifest.name, version=manifest.version, training=watched.bundle.monitored)


def _store(watched, folder):
    manifest = watched.bundle.manifest
    return Store(folder, KEY, model=manifest.name, version=manifest.version, training=watched.bundle.monitored)


@pytest.mark.parametrize("name", ["meadow", "harbour"])
def test_what_is_kept_is_what_the_table_would_have_given(watched, tmp_path, name):
    from relapse.bundle.monitoring import unlike

    mine = watched[name]
    table = mine.patients(40)
    answers = Desk(mine.bundle, _settings(tmp_path / "kept")).predict(_asked(mine, table), endpoint="predict_batch")
    lines, others = _read(mine, tmp_path / "kept")
    training = mine.bundle.monitored
    places = {feature: item.classes.places(table[feature]) for feature, item in training.features.items()}
    assert np.array_equal(np.array([line.classes for line in lines]), training.classes(places))
    flagged = unlike(table, mine.item.cohort, mine.bundle.reference, mine.bundle.training)
    assert [line.unlike for line in lines] == flagged.tolist()
    risks = [answer.risks[0].risk if name == "meadow" else answer.risk for answer in answers]
    assert [line.risk for line in lines] == pytest.approx(risks, abs=0.0005)
    assert not others
    assert {line.day for line in lines} == {datetime.now(UTC).date()}


def test_a_line_holds_no_value_no_time_and_no_name(watched, tmp_path):
    mine = watched["harbour"]
    person = patient_model(mine.bundle.cohort, mine.bundle.optional_blocks)(
        **a_patient(mine.item.cohort, age=83, score=47.125)
    )
    desk = Desk(mine.bundle, _settings(tmp_path / "kept"))
    desk.predict([person], endpoint="predict", names=["Miller, Ada 1943"])
    (file,) = (tmp_path / "kept").iterdir()
    (line,) = [json.loads(text) for text in file.read_text().splitlines()]
    assert set(line) == {"model", "version", "patient", "classes", "risk", "unlike"}
    assert all(text not in file.read_text() for text in ("83", "47.125", "Miller", "Ada", "50.5"))
    assert (
        line["patient"]
        == pseudonym(KEY, b"Miller, Ada 1943")
        != pseudonym(b"another key of sixteen", b"Miller, Ada 1943")
    )
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700


def test_where_the_fallback_answers_no_risk_is_kept_and_the_block_is_missing(watched, tmp_path):
    mine = watched["harbour"]
    whole = a_patient(mine.item.cohort)
    bare = without(whole, mine.item.cohort, "texture")
    person = patient_model(mine.bundle.cohort, mine.bundle.optional_blocks)(**bare)
    Desk(mine.bundle, _settings(tmp_path / "kept")).predict([person], endpoint="predict")
    ((line,), _) = _read(mine, tmp_path / "kept")
    assert (line.risk, line.unlike) == (None, None)
    at = [place for place, name in enumerate(mine.item.cohort.predictors) if name in whole and name not in bare]
    assert at
    assert {line.classes[place] for place in at} == {-1}


def test_the_same_values_without_a_name_are_the_same_patient(watched, tmp_path):
    mine = watched["meadow"]
    first, second = _asked(mine, mine.patients(2))
    desk = Desk(mine.bundle, _settings(tmp_path / "kept"))
    for person in (first, second, first):
        desk.predict([person], endpoint="predict")
    names = [line.patient for line in _read(mine, tmp_path / "kept")[0]]
    assert names[0] == names[2] != names[1]


def test_an_answer_that_cannot_be_kept_is_given_and_counted(watched, tmp_path, caplog):
    from relapse.serving.traffic import exposition

    mine = watched["meadow"]
    desk = Desk(mine.bundle, _settings(tmp_path / "kept"))
    day = datetime.now(UTC).date().isoformat()
    (tmp_path / "kept" / f"{day}.jsonl").mkdir()
    (answer,) = desk.predict(_asked(mine, mine.patients(1)), endpoint="predict", names=["secret-name"])
    assert 0 <= answer.risk <= 1
    assert "1 answers could not be kept for monitoring" in caplog.text
    assert "secret-name" not in caplog.text
    assert 'relapse_monitored_total{kept="no"} 1.0' in exposition().decode()


def test_on_a_full_disk_an_answer_is_given_the_store_stays_whole_and_goes_on(watched, tmp_path, caplog):
    mine = watched["meadow"]
    desk = Desk(mine.bundle, _settings(tmp_path / "kept"))
    people = _asked(mine, mine.patients(3))
    desk.predict(people, endpoint="predict_batch")
    with room_for(1000):
        assert len(desk.predict(people * 20, endpoint="predict_batch")) == 60
    assert "60 answers could not be kept for monitoring (No space left on device)" in caplog.text
    desk.predict(people, endpoint="predict_batch")
    assert len(_read(mine, tmp_path / "kept")[0]) == 6


def test_half_a_line_that_a_killed_writer_left_is_left_out_and_then_taken_off(watched, tmp_path, capsys):
    store = _store(watched["meadow"], tmp_path / "kept")
    values = dict.fromkeys(watched["meadow"].bundle.monitored.features)
    line = store.line(b"x", values.get, risk=0.5, unlike=False)
    store.append([line] * 3)
    (file,) = (tmp_path / "kept").iterdir()
    file.write_text(file.read_text()[:-20])
    assert len(_read(watched["meadow"], tmp_path / "kept")[0]) == 2
    assert "line 3: cut short, and left out" in capsys.readouterr().out
    store.append([line])
    assert len(_read(watched["meadow"], tmp_path / "kept")[0]) == 3


def test_a_bundle_from_before_cannot_be_monitored_and_serves_without(bundle_from_before, tmp_path):
    with pytest.raises(ServingError, match="holds nothing to compare with"):
        Desk(bundle_from_before, _settings(tmp_path / "kept"))
    assert Desk(bundle_from_before, Serving(None, None, None, 10))


def _append(watched, folder, worker):
    store = _store(watched, folder)
    values = dict.fromkeys(watched.bundle.monitored.features)
    for number in range(50):
        store.append(
            [store.line(f"{worker} {number} {part}".encode(), values.get, risk=0.25, unlike=False) for part in range(3)]
        )


def test_several_workers_append_whole_lines(watched, tmp_path):
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=_append, args=(watched["meadow"], tmp_path / "kept", number)) for number in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    lines, _ = _read(watched["meadow"], tmp_path / "kept")
    assert len({line.patient for line in lines}) == len(lines) == 600


def test_answers_of_another_model_are_counted_and_not_mixed_in(watched, tmp_path):
    mine = watched["meadow"]
    values = dict.fromkeys(mine.bundle.monitored.features)
    for version, count in (("older", 3), (mine.bundle.manifest.version, 2)):
        store = Store(tmp_path / "kept", KEY, model="relapse-meadow", version=version, training=mine.bundle.monitored)
        store.append([store.line(b"x", values.get, risk=0.5, unlike=False)] * count)
    lines, others = _read(mine, tmp_path / "kept")
    assert (len(lines), others) == (2, {"relapse-meadow version older": 3})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:-20] + "\n", "line 2: no JSON object: cut short"),
        (lambda text: text.replace('"risk":0.5', '"risk":1.5'), "line 1: not what a service of relapse-meadow"),
        (lambda text: text.replace("[-1,", "[99,", 1), "line 1: not what"),
        (lambda text: text.replace('"unlike":false', '"unlike":null', 1), "line 1: not what"),
        (lambda text: text + "[]\n", "line 3: no JSON object"),
    ],
    ids=["cut", "risk", "class", "half a fallback", "list"],
)
def test_a_damaged_line_is_named(watched, tmp_path, damage, message):
    store = _store(watched["meadow"], tmp_path / "kept")
    values = dict.fromkeys(watched["meadow"].bundle.monitored.features)
    store.append([store.line(b"x", values.get, risk=0.5, unlike=False)] * 2)
    (file,) = (tmp_path / "kept").iterdir()
    file.write_text(damage(file.read_text()))
    with pytest.raises(SourceError, match=message):
        _read(watched["meadow"], tmp_path / "kept")


def test_no_folder_and_an_empty_one_are_told_apart(watched, tmp_path):
    with pytest.raises(SourceError, match=r"no such folder\. RELAPSE_MONITOR"):
        _read(watched["meadow"], tmp_path / "nowhere")
    (tmp_path / "notes.jsonl").write_text("\n")
    with pytest.raises(SourceError, match="no answers are kept there"):
        _read(watched["meadow"], tmp_path)


def test_a_store_that_cannot_be_made_stops_the_start(watched, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="cannot be made"):
        _store(watched["meadow"], tmp_path / "file" / "kept")
