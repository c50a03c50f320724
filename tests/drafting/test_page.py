"""What docs/your-own-table.md shows is what comes out: its declaration, what is said of it, and commands that there are."""

import re
import warnings
from pathlib import Path

import pytest
from typer.main import get_command

from relapse.cohorts.catalogue import read_cohort
from relapse.commands.app import app

from .running import run


@pytest.fixture
def page(root: Path) -> str:
    return (root / "docs" / "your-own-table.md").read_text(encoding="utf-8")


def test_the_declaration_of_the_page_is_the_one_that_is_written(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from SurvSet.data import SurvLoader

        table = SurvLoader().load_dataset("breast")["df"]
    (tmp_path / "project").mkdir()
    table.to_csv(tmp_path / "breast.csv", index=False)
    monkeypatch.chdir(tmp_path / "project")
    answers = ["--outcome", "event", "--time", "time", "--unit", "month", "--patient", "pid"]
    answers += ["--reference", "fac_TumorStage, fac_NodalStatus"]
    assert run("cohort", "new", "../breast.csv", *answers) == 0
    first, edited = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    declaration = Path("data/cohorts/breast.yaml")
    assert declaration.read_text(encoding="utf-8") == first
    declaration.write_text(edited, encoding="utf-8")
    assert read_cohort(declaration).reference == ("fac_TumorStage", "fac_NodalStatus")
    capsys.readouterr()
    for command in ("check", "describe"):
        (shown,) = re.findall(rf"\$ relapse cohort {command} breast\n(.*?)```", page, re.DOTALL)
        assert run("cohort", command, "breast") == 0
        said = capsys.readouterr().out
        # Tables are as wide as the terminal was; sentences are not.
        sentences = [line for line in shown.splitlines() if not re.match(r"[┏┃┡│└]", line)]
        assert [line for line in sentences if line.rstrip() not in map(str.rstrip, said.splitlines())] == []


def test_every_command_of_the_page_is_one(page: str) -> None:
    known = get_command(app)
    for line in re.findall(r"^\$ relapse (.+)$", page, re.MULTILINE):
        name, *rest = line.split()
        found = known.commands[name]  # type: ignore[attr-defined]
        if hasattr(found, "commands"):
            assert rest[0] in found.commands, line
    for option in set(re.findall(r"`(--[a-z0-9]+)`", page)):
        cohort = known.commands["cohort"].commands  # type: ignore[attr-defined]
        assert any(option in item.opts for command in cohort.values() for item in command.params), option
