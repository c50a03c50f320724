"""`relapse explain` says of every code what it means and what to do."""

import re
from pathlib import Path

import pytest

from relapse.tracking.registry import faults, lifecycle
from relapse.tracking.registry.codes import CODES
from tests.drafting.running import run


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("L003", "rows of one patient disagree on event or time (warning)"),
        ("l003", "What to do: correct them"),
        ("L001", "To silence it, in the declaration: silence: [{check: L001"),
        ("O005", "It cannot be silenced, since the folds cannot be drawn."),
        ("S006", "a score or a risk is the outcome itself"),
        ("M005", "`relapse registry verify --repair`: writes it again"),
        ("mask-empty", "the mask marks nothing\nThe patient is set aside"),
        ("upload-archive", "The service answers with this"),
    ],
)
def test_a_code_is_explained(capsys: pytest.CaptureFixture[str], code: str, words: str) -> None:
    assert run("explain", code) == 0
    assert words in capsys.readouterr().out


def test_an_unknown_code_is_answered_with_its_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "L9") == 2
    assert "error: L9: no such code. There are: L001, L002, L003, L004, L005." in capsys.readouterr().err


def test_without_a_code_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 80
    assert all(len(line.split()) > 2 for line in lines)


def test_codes_of_the_registry_are_those_of_the_docs_and_of_the_code(root: Path) -> None:
    text = (root / "docs" / "promotion.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (M\d{3}) \| (.+?) \| (.*?) ?\| (.+) \|$", text, flags=re.MULTILINE)
    assert rows == [(code, item.found, item.at_repro, item.at_repair) for code, item in CODES.items()]
    raised = "".join(Path(str(module.__file__)).read_text(encoding="utf-8") for module in (faults, lifecycle))
    assert set(re.findall(r'"(M\d{3})"', raised)) == CODES.keys()
