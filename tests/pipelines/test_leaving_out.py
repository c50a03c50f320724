"""A candidate that the budget leaves out: a record that says so, in the time that Python takes, and a word in the report."""

import subprocess
import sys
from pathlib import Path

import pytest

from relapse.ground.declarations import read_yaml
from relapse.ground.errors import DeclarationError
from relapse.ground.files import read_json
from relapse.ground.workspace import Workspace
from relapse.params import choose, read_params
from relapse.report.caveats import omissions
from tests.project import ROOT

_LOADED = (
    "import runpy, sys; sys.argv = ['train.py', '--cohort', 'gbsg', '--candidate', 'cnn1d'];"
    f"runpy.run_path({str(ROOT / 'pipelines' / 'train.py')!r}, run_name='__main__');"
    "print({'sklearn', 'torch', 'pandas', 'optuna'} & sys.modules.keys())"
)


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """A folder whose ``params.yaml`` asks for the quick budget."""
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    choose(["gbsg"], "quick", tmp_path / "params.yaml")
    return tmp_path


def test_it_is_left_out_without_any_library_and_what_was_there_is_gone(quick: Path) -> None:
    at = Workspace("gbsg", quick)
    at.predictions("cnn1d").parent.mkdir(parents=True)
    at.predictions("cnn1d").touch()
    done = subprocess.run([sys.executable, "-c", _LOADED], cwd=quick, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert [path.name for path in at.trained("cnn1d").iterdir()] == [at.record("cnn1d").name]
    record = read_json(at.record("cnn1d"))
    assert record == {"candidate": "cnn1d", "left_out": "the budget quick does not train it"}
    assert at.succeeded(["cnn1d"]) == []


def test_each_budget_trains_all_but_what_it_leaves_out(quick: Path) -> None:
    params = read_params(quick / "params.yaml")
    assert params.trained == tuple(name for name in params.candidates if name not in params.train.leaves_out)
    assert {"reference", "linear"} <= set(params.trained) < set(params.candidates)
    budgets = read_yaml(ROOT / "params.yaml")["budgets"]
    assert [name for name, budget in budgets.items() if "leaves_out" in budget["train"]] == ["quick"]


def test_the_reference_is_never_left_out(quick: Path) -> None:
    path = quick / "params.yaml"
    path.write_text(path.read_text().replace("leaves_out: [svm,", "leaves_out: [reference,"))
    with pytest.raises(DeclarationError, match=r"leaves_out.*the reference is what every candidate is held against"):
        read_params(path)


def test_the_report_says_what_is_not_known() -> None:
    assert omissions(()) == []
    ((title, said),) = omissions(("svm", "cnn1d"))
    assert title == "Not all candidates"
    assert "svm, cnn1d" in said
