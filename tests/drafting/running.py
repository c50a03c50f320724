"""The command `relapse cohort new`, run as a person does, and what has to come of an odd table."""

import re
from pathlib import Path

import pytest

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import ingest
from relapse.commands.app import app
from relapse.ground.console import readable_errors
from relapse.ground.errors import DeclarationError

from .making import Odd


def run(*arguments: str) -> int:
    """Run the command as a person does, in this process; give its exit status."""
    try:
        with readable_errors():
            # What a command exits with by itself is what comes back.
            return int(app(list(arguments), standalone_mode=False) or 0)
    except SystemExit as status:
        return int(status.code or 0)


def handed_over(odd: Odd, folder: Path) -> Path:
    path = folder / odd.file
    if callable(odd.data):
        odd.data(path)
    else:
        path.write_bytes(odd.data)
    return path


def judge(odd: Odd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Hand a table over in an empty project, and hold what is written, or said, against what has to come of it."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "project").mkdir()
    table = handed_over(odd, tmp_path / "theirs")
    monkeypatch.chdir(tmp_path / "project")
    status = run("cohort", "new", str(table), "--yes", *odd.options)
    captured = capsys.readouterr()
    said = captured.out + captured.err
    declaration = Path("data/cohorts/clinic.yaml")
    assert not re.search(r"\bK1\d{3}\b", said), "a patient's name is said"
    if odd.refused:
        assert status == 2, said
        assert re.search(odd.refused, captured.err, re.DOTALL), captured.err
        assert captured.err.count("error:") == 1
        assert not list(Path().iterdir()), "something was written"
        return
    assert status == 0, said
    text = declaration.read_text(encoding="utf-8")
    for pattern in odd.said:
        assert re.search(pattern, text), f"{pattern!r} is not in:\n{text}"
    assert not re.search(r"\bK1\d{3}\b", text), "a patient stands in the declaration"
    if odd.waits:
        assert "It cannot be used yet" in captured.out
        with pytest.raises(DeclarationError, match=odd.waits):
            read_cohort(declaration)
        return
    cohort = read_cohort(declaration)
    kept = ingest(cohort, root=Path()).table
    assert len(kept) >= 100
    assert set(kept["event"].dropna()) == {0, 1}
    for name in cohort.numeric(list(cohort.features)):
        assert kept[name].dtype == float, f"{name} is no number"
