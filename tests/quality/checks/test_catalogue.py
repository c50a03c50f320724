"""Every code stands in the docs' page, is raised by a check, and is planted in a test."""

import ast
import re
from pathlib import Path

import pytest

import relapse.evaluation.checks
import relapse.quality
from relapse.quality.checks import features, leakage, outcome, rows
from relapse.quality.checks.catalogue import ALWAYS, CHECKS
from relapse.quality.codes import CODES, FAMILIES
from relapse.quality.prediction_codes import PREDICTIONS
from tests.drafting.running import run

EVERY_FAMILY = (*FAMILIES, PREDICTIONS)


def test_the_page_is_what_the_command_prints(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "--page") == 0
    assert (root / "docs" / "checks.md").read_text(encoding="utf-8") == capsys.readouterr().out


def test_codes_of_a_family_have_its_letter_and_stand_in_order() -> None:
    for family in EVERY_FAMILY:
        numbers = [item.code for item in family.codes]
        assert numbers == [f"{family.letter}{number:03}" for number in range(1, len(numbers) + 1)]
    assert len(CODES) == sum(len(family.codes) for family in EVERY_FAMILY), "a code stands there twice"


def _named(path: Path) -> set[str]:
    """The codes that a module of checks names, but where it declares one."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and re.fullmatch(r"[A-Z]\d{3}", node.id):
            found.add(node.id)
    return found


def test_every_code_is_raised_somewhere() -> None:
    folder = Path(relapse.quality.__file__).parent
    checks = [*folder.rglob("*.py"), Path(relapse.evaluation.checks.__file__)]
    raised = set().union(*(_named(path) for path in checks if path.name not in ("codes.py", "prediction_codes.py")))
    assert raised == CODES.keys()


def test_every_code_is_planted_in_a_test(root: Path) -> None:
    planted = ""
    for folder in ("quality", "evaluation"):
        for path in (root / "tests" / folder).rglob("test_*.py"):
            planted += path.read_text(encoding="utf-8") if path.name != Path(__file__).name else ""
    assert [code for code in CODES if code not in planted] == []


def test_the_checks_that_also_run_where_a_rule_is_broken_are_marked() -> None:
    marked = {code for code, item in CODES.items() if item.in_broken}
    assert marked == {"R001", "R002", "R004", "R005", "R006", "F008", "F009"}
    assert len(ALWAYS) == len(marked)


def test_every_family_is_in_the_catalogue() -> None:
    for family in (leakage, rows, features, outcome):
        assert set(family.CHECKS) <= set(CHECKS)
