"""Every coded check stands in the page about them, as severe as it is, and the page names no other."""

import ast
import re
from pathlib import Path

import relapse.evaluation.checks
import relapse.quality.checks
from relapse.quality.checks import features, leakage, outcome, rows
from relapse.quality.checks.catalogue import ALWAYS, CHECKS


def _in_the_code() -> dict[str, str]:
    """Code and severity of every ``Finding(…)`` that stands in a family."""
    found: dict[str, str] = {}
    for path in Path(relapse.quality.checks.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding"):
                continue
            named = {word.arg: word.value for word in node.keywords}
            given = [*node.args[:2], *(named[key] for key in ("code", "severity") if key in named)]
            code, severity = (item.value if isinstance(item, ast.Constant) else None for item in given)
            if isinstance(code, str) and isinstance(severity, str):
                assert found.setdefault(code, severity) == severity, f"{code} is an error here and a warning there"
    # Those of predictions are all warnings, and are made in one place from their codes.
    predictions = Path(relapse.evaluation.checks.__file__).read_text(encoding="utf-8")
    return found | {code: "warning" for code in re.findall(r'"(S\d{3})"', predictions)}


def _in_the_page(root: Path) -> dict[str, str]:
    text = (root / "docs" / "checks.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z]\d{3})\*? \| (\w+) \| [^|]+ \| [^|]+ \|$", text, flags=re.MULTILINE)
    assert len(rows) == len({code for code, _ in rows}), "a code stands there twice"
    return dict(rows)


def test_the_page_and_the_code_name_the_same_checks(root: Path) -> None:
    assert _in_the_code().keys() >= {"L001", "L002", "R001", "F001", "S001"}
    assert _in_the_page(root) == _in_the_code()


def test_the_page_marks_the_checks_that_also_run_where_a_rule_is_broken(root: Path) -> None:
    text = (root / "docs" / "checks.md").read_text(encoding="utf-8")
    assert set(re.findall(r"([A-Z]\d{3})\* ", text)) == {"R001", "R002", "R004", "R005", "R006", "F008", "F009"}
    assert len(ALWAYS) == 7


def test_every_family_is_in_the_catalogue() -> None:
    for family in (leakage, rows, features, outcome):
        assert set(family.CHECKS) <= set(CHECKS)
