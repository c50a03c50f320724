"""The retraining workflow starts on what it says, and calls targets and commands that there are."""

import re
from typing import Any

import pytest
import typer.main
from ruamel.yaml import YAML

from relapse.commands.app import app
from tests.project import ROOT

TEXT = (ROOT / ".github" / "workflows" / "retrain.yml").read_text()
WORKFLOW: dict[str, Any] = YAML(typ="safe").load(TEXT)


def test_it_starts_on_an_alarm_by_hand_with_a_reason_and_by_the_clock() -> None:
    starts = WORKFLOW["on"]
    assert starts["repository_dispatch"] == {"types": ["drift-alarm"]}
    assert "reason" in starts["workflow_dispatch"]["inputs"]
    clocks = [item["cron"] for item in starts["schedule"]]
    # The daily look is told from the weekly training by its very words.
    named = set(re.findall(r"github\.event\.schedule [!=]= '([^']+)'", TEXT))
    assert len(clocks) == 2
    assert named == {clocks[1]}


def test_every_target_and_command_that_it_calls_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"make (?:-C \S+ )?([a-z-]+)", TEXT))
    assert {"retrain", "promote", "take-over"} <= targets
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []
    commands = re.findall(r"\.venv/bin/relapse ((?:[a-z-]+ ?)+)", TEXT)
    assert len(commands) == 3
    for words in commands:
        command: Any = typer.main.get_command(app)
        for word in words.split():
            command = command.commands[word] if hasattr(command, "commands") else command
        assert not hasattr(command, "commands"), words


@pytest.mark.parametrize("job", ["propose", "promote", "take-over"])
def test_nothing_follows_a_job_that_failed(job: str) -> None:
    said = WORKFLOW["jobs"][job]["if"]
    # `!cancelled()` alone would go on after a failure.
    assert "!cancelled()" in said
    assert "result == 'success'" in said
