"""Images are declared beside the features, and belong to one of the cohort's blocks."""

import copy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.catalogue import read_cohort, to_yaml
from relapse.cohorts.schema import Cohort
from relapse.ground.errors import DeclarationError
from tests.pictured import declared, pictured_cohort


def changed(*path: str, to: Any) -> dict[str, Any]:
    """The declaration with one value replaced, or taken out (None)."""
    content = copy.deepcopy(declared())
    inner = content
    for key in path[:-1]:
        inner = inner.setdefault(key, {})
    if to is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return content


def written(tmp_path: Path, content: dict[str, Any]) -> Path:
    path = tmp_path / f"{content['name']}.yaml"
    YAML().dump(content, path)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed("images", "block", to="scans"), r"images: block 'scans' is not declared. Name it under blocks; there are: blood, scan"),
        (changed("images", "block", to=None), r"images.*block: this key is required"),
        (changed("blocks", "blood", "over", to=["scan"]), r"block 'blood': over names the block of the images.*Ask what the images add to it instead"),
        (changed("images", "encoder", "weights", to="imagenet"), r"images.*file names the published weights: it is needed with weights: imagenet"),
        (changed("images", "encoder", "file", to="weights.pth"), r"images.*file names the published weights: .*and with no other"),
        (changed("images", "encoder", "views", to=9), r"images.*views.*8"),
        (changed("images", "kind", to="mri"), r"images.*kind.*dce_mri"),
        (changed("images", "phases", to=[0, 1, 1]), r"images.*phases: each is named once"),
        (changed("images", "folders", to="x"), r"images\.dce_mri\.folders: unknown key"),
        (changed("features", IMAGE, to={"type": "continuous", "range": [0, 1]}), r"feature 'image': a feature's name is .*none of .*image"),
        (changed("blocks", IMAGE, to={}), r"block 'image': a feature or a column of every table is called so"),
        (changed("blocks", "empty", to={}), r"block 'empty' has no feature known at baseline"),
        (changed("images", to=None), r"block 'scan' has no feature known at baseline"),
    ],
)  # fmt: skip
def test_a_wrong_declaration_of_images_says_what_is_allowed(
    tmp_path: Path, content: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeclarationError, match=message):
        read_cohort(written(tmp_path, content))


def test_images_are_one_more_input_and_a_part_of_their_block() -> None:
    cohort = pictured_cohort()
    assert cohort.predictors == ["grade", "bulk", "marker"]
    assert cohort.inputs == ["grade", "bulk", "marker", IMAGE]
    assert (cohort.block_inputs("scan"), cohort.block_features("scan")) == ([IMAGE], [])
    assert cohort.block_inputs("blood") == cohort.members("blood") == ["marker"]
    assert cohort.explained == ["grade", "bulk", "marker", "scan"]
    assert (cohort.members("scan"), cohort.members("bulk")) == ([IMAGE], ["bulk"])
    assert (cohort.part_title("scan"), cohort.part_title("bulk")) == ("Scan", "bulk")
    assert cohort.base_features("blood") == ["grade", "bulk", "marker"]


def test_features_of_the_images_block_are_explained_together_with_them() -> None:
    cohort = Cohort.model_validate(changed("features", "marker", "block", to="scan") | {"blocks": {"scan": {}}})
    assert cohort.block_inputs("scan") == cohort.members("scan") == ["marker", IMAGE]
    assert cohort.explained == ["grade", "bulk", "scan"]


def test_a_restricted_cohort_has_images_where_they_are_among_its_inputs() -> None:
    cohort = pictured_cohort()
    with_images = cohort.restricted(["bulk", IMAGE], name="some")
    assert (with_images.inputs, with_images.predictors, with_images.reference) == (["bulk", IMAGE], ["bulk"], ("bulk",))
    assert with_images.explained == ["bulk", "scan"]
    alone = cohort.restricted([IMAGE], name="images")
    assert (alone.inputs, alone.predictors, alone.reference, alone.explained) == ([IMAGE], [], (), ["scan"])
    without = cohort.restricted(["bulk"], name="none")
    assert without.images is None
    assert without.inputs == without.predictors == without.explained == ["bulk"]
    assert without.block_inputs("scan") == []


def test_a_declaration_with_images_is_written_and_read_again_as_it_is(tmp_path: Path) -> None:
    cohort = read_cohort(written(tmp_path, declared()))
    path = tmp_path / "again" / "pictured.yaml"
    path.parent.mkdir()
    path.write_text(to_yaml(cohort), encoding="utf-8")
    assert "${SCANS}" in path.read_text(encoding="utf-8")
    assert read_cohort(path) == cohort


def test_a_cohort_without_images_knows_nothing_of_them(cohorts: dict[str, Cohort]) -> None:
    plain = [cohort for cohort in cohorts.values() if cohort.images is None]
    assert {"gbsg", "wpbc", "radiomics"} <= {cohort.name for cohort in plain}
    for cohort in plain:
        assert cohort.inputs == cohort.predictors
        assert IMAGE not in cohort.explained
        assert "images" not in to_yaml(cohort).splitlines()
        assert all(cohort.block_inputs(name) == cohort.block_features(name) for name in cohort.blocks)
