"""Features that films give values of are declared beside them."""

import copy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.catalogue import read_cohort, to_yaml
from relapse.ground.errors import DeclarationError

DECLARED: dict[str, Any] = {
    "name": "valley",
    "title": "Valley hospital",
    "source": {"csv": "views.csv"},
    "licence": "none",
    "citation": "none",
    "patient": "mrn",
    "view": "projection",
    "endpoint": {"kind": "binary", "event": "back"},
    "features": {
        "diameter": {"type": "continuous", "unit": "mm", "range": [1, 150]},
        "edge": {"type": "nominal", "levels": {0: "clear", 1: "lobed", 2: "blurred", 3: "strands"}},
        "years": {"type": "count", "range": [18, 100]},
        "grade": {"type": "ordinal", "levels": ["I", "II"]},
    },
    "reference": ["diameter"],
    "images": {"kind": "mammogram", "reader": "${READER}", "size": "diameter", "margin": "edge"},
}


def written(tmp_path: Path, images: dict[str, Any]) -> Path:
    content = copy.deepcopy(DECLARED) | {"images": images}
    path = tmp_path / "valley.yaml"
    YAML().dump(content, path)
    return path


def test_films_propose_features_and_give_a_model_nothing_else(tmp_path: Path) -> None:
    cohort = read_cohort(written(tmp_path, DECLARED["images"]))
    assert cohort.films is not None
    assert cohort.films.proposed == {"size": "diameter", "margin": "edge"}
    assert cohort.volumes is None
    assert IMAGE not in cohort.inputs
    again = tmp_path / "again" / "valley.yaml"
    again.parent.mkdir()
    again.write_text(to_yaml(cohort), encoding="utf-8")
    assert read_cohort(again) == cohort


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "years"}, r"size is read in mm: declare feature 'years' as continuous with unit: mm"),
        ({"size": "bulk"}, r"size names 'bulk', which is no declared feature"),
        ({"shape": "grade"}, r"shape is read as codes: give the levels of 'grade' by their codes, 0, 1, 2, 3"),
        ({"shape": "edge"}, r"name the features that films give values of, each once"),
        ({"size": None, "margin": None}, r"name the features that films give values of"),
        ({"folder": "films"}, r"folder: unknown key"),
        ({"reader": None}, r"reader"),
    ],
)
def test_a_wrong_declaration_of_films_says_what_is_allowed(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    images = {key: value for key, value in (DECLARED["images"] | change).items() if value is not None}
    with pytest.raises(DeclarationError, match=message):
        read_cohort(written(tmp_path, images))
