"""The record of a deployment is a chain: what was altered, moved or taken out is told."""

from pathlib import Path

import pytest

from relapse.deployment.door import _Door
from relapse.deployment.place import Place
from relapse.deployment.record import append, read
from relapse.ground.errors import DeploymentError
from tests.room import FULL, room_for


def test_events_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "here" / "record.jsonl"
    assert read(path) == []
    append(path, "begin", "somebody on a machine", new="relapse-x 1")
    append(path, "rolled back", "somebody on a machine", because="it failed 3 of 20")
    first, second = read(path)
    assert (first["number"], second["number"]) == (1, 2)
    assert second["because"] == "it failed 3 of 20"
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("planted", ["altered", "moved", "taken out", "no JSON"])
def test_a_record_that_was_tampered_with_is_refused(tmp_path: Path, planted: str) -> None:
    path = tmp_path / "record.jsonl"
    for event in ("begin", "shadow begun", "rolled back"):
        append(path, event, "somebody")
    one, two, three = path.read_text().splitlines()
    text = {
        "altered": [one, two.replace("shadow", "part"), three],
        "moved": [two, one, three],
        "taken out": [one, three],
        "no JSON": [one, two[:-1], three],
    }[planted]
    path.write_text("\n".join(text) + "\n")
    with pytest.raises(DeploymentError, match=r"line \d: does not follow"):
        read(path)


def test_an_event_that_does_not_fit_leaves_the_chain_whole(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    append(path, "begin", "somebody")
    with room_for(path.stat().st_size + 20), pytest.raises(OSError, match=FULL):
        append(path, "rolled back", "somebody", because="x" * 100)
    append(path, "done", "somebody")
    assert [entry["event"] for entry in read(path)] == ["begin", "done"]


def test_half_an_event_that_a_killed_door_left_is_not_read_and_then_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    append(path, "begin", "somebody")
    append(path, "shadow begun", "somebody")
    path.write_bytes(path.read_bytes()[:-30])
    assert [entry["event"] for entry in read(path)] == ["begin"]
    append(path, "opened", "somebody")
    assert [entry["event"] for entry in read(path)] == ["begin", "opened"]


def test_what_the_door_cannot_write_down_is_said_once_and_written_in_order_once_there_is_room(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place("x", tmp_path)
    append(place.record, "opened", "somebody")
    door = _Door(place, None, None, None, "")  # type: ignore[arg-type]
    with room_for(0):
        door._write("restarted", "somebody")
        door._write("refused", "somebody", order=1)
        door._tell(order=1)
        door._settle()
    assert capsys.readouterr().out.count("the record waits for room") == 1
    assert [entry["event"] for entry in read(place.record)] == ["opened"]
    door._settle()
    assert [entry["event"] for entry in read(place.record)] == ["opened", "restarted", "refused"]
    assert place.told() == {"order": 1}


def test_a_key_that_does_not_fit_is_not_half_there(tmp_path: Path) -> None:
    place = Place("x", tmp_path)
    with room_for(10), pytest.raises(OSError, match=FULL):
        place.key()
    assert len(place.key()) == 64
    assert (place.folder / "key").stat().st_mode & 0o077 == 0
    assert place.key() == place.key()
