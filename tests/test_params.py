import shutil

import pytest

from relapse.ground.errors import DeclarationError
from relapse.params import choose
from tests.project import ROOT


@pytest.fixture
def path(tmp_path):
    return shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")


def test_other_cohorts_and_another_budget_change_two_lines_and_nothing_else(path):
    before = path.read_text().splitlines()
    found = choose(["duke", "wpbc"], "quick", path)
    assert (found.cohorts, found.budget) == (("duke", "wpbc"), "quick")
    after = path.read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [new.split("#")[0].strip() for _, new in changed] == ["cohorts: [duke, wpbc]", "budget: quick"]
    assert all(("#" in old) == ("#" in new) for old, new in changed)


def test_without_a_budget_the_one_that_stands_there_stays(path):
    choose(["duke"], "quick", path)
    assert choose(["gbsg"], None, path).budget == "quick"


def test_what_is_not_allowed_leaves_the_file_as_it_was(path):
    before = path.read_bytes()
    with pytest.raises(DeclarationError, match=r"params.yaml: budget: 'huge' is none of quick, default, publication"):
        choose(["gbsg"], "huge", path)
    with pytest.raises(DeclarationError, match=r"/params.yaml: cohorts"):
        choose([], "quick", path)
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == ["params.yaml"]
