"""The record of a deployment is a chain: what was altered, moved or taken out is told."""

from pathlib import Path

import pytest

from relapse.deployment.record import append, read
from relapse.ground.errors import DeploymentError


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
