"""Figures: drawn from frames, the same bytes each time, self-contained, and described."""

import base64
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex

from relapse.candidates.catalogue import MODULES
from relapse.figures.evaluation.catalogue import figures
from relapse.figures.evaluation.survival import risk_groups
from relapse.figures.shown import compared, compared_words, labels
from relapse.figures.style import marks
from tests.report.conftest import HOSTILE, Made

BINARY = ["flow", "ranking", "pairs", "roc", "precision_recall", "calibration", "decision_curve", "subgroups"]
SURVIVAL = [
    "flow",
    "ranking",
    "pairs",
    "auc_over_time",
    "risk_groups",
    "calibration_3y",
    "decision_curve_3y",
    "calibration_5y",
    "decision_curve_5y",
    "subgroups",
]


def test_a_binary_endpoint_has_its_figures(binary: Made, tmp_path: Path) -> None:
    assert binary.draw(tmp_path) == BINARY
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{n}{s}" for n in BINARY for s in (".png", ".svg")
    )


def test_a_survival_endpoint_has_its_figures(survival: Made, tmp_path: Path) -> None:
    assert survival.draw(tmp_path) == SURVIVAL


@pytest.mark.parametrize("kind", ["binary", "survival"])
def test_the_same_figures_are_the_same_bytes(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    made: Made = request.getfixturevalue(kind)
    made.draw(tmp_path)
    for path in sorted(made.folder.iterdir()):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("kind", ["binary", "survival"])
def test_an_svg_holds_no_date_and_loads_nothing(kind: str, request: pytest.FixtureRequest) -> None:
    made: Made = request.getfixturevalue(kind)
    for path in made.folder.glob("*.svg"):
        text = path.read_text()
        assert "<dc:date>" not in text
        assert not re.search(r"(?:href|src)=\"(?!#|data:)", text), path.name
        assert "<text" not in text, "letters are outlines: no font is needed to show them"


def test_every_figure_says_what_it_shows(binary: Made) -> None:
    for path in binary.folder.glob("*.svg"):
        described = ElementTree.parse(path).getroot().find(".//{http://purl.org/dc/elements/1.1/}description")
        assert described is not None
        assert described.text
    roc = (
        ElementTree.parse(binary.folder / "roc.svg").getroot().find(".//{http://purl.org/dc/elements/1.1/}description")
    )
    assert roc is not None
    called = labels(binary.evidence, binary.titles)
    for item in binary.evidence.candidates:
        assert f"{called[item.name]} {item.metrics['auc'].value:.3f}" in str(roc.text)


def test_figures_of_one_candidate_show_the_one_put_forward_and_say_so(survival: Made) -> None:
    assert survival.evidence.best.name == "linear"
    for evidence, said in (
        (survival.evidence, "Elastic net (largest Harrell's C)"),
        (replace(survival.evidence, put_forward="linear"), "Elastic net (put forward)"),
        (replace(survival.evidence, put_forward="forest"), "Random forest (put forward)"),
    ):
        drawn = figures(survival.frames, evidence, flow=None, titles=survival.titles)
        assert f"predicted by {said}. Free of" in str(drawn["risk_groups"].get_label())
        assert drawn["risk_groups"].axes[0].get_title(loc="left").endswith(f"predicted by {said}")
        assert [text.get_text() for text in drawn["subgroups"].legends[0].get_texts()] == ["Clinical reference", said]
        assert compared_words(evidence, survival.titles) == f"Clinical reference and {said}"
        banded = drawn["auc_over_time"].axes[0].collections
        colours = [marks([name])[name].colour for name in compared(evidence)]
        assert [to_hex(band.get_facecolor()[0]).upper() for band in banded] == [colour.upper() for colour in colours]


def test_beside_a_reference_that_is_put_forward_stands_the_best(binary: Made) -> None:
    evidence = replace(binary.evidence, put_forward="reference")
    assert (
        compared_words(evidence, binary.titles) == "Clinical reference (put forward) and Elastic net (largest ROC AUC)"
    )


def test_nothing_stands_out_where_nothing_was_chosen(binary: Made) -> None:
    evidence = replace(binary.evidence, selection=None)
    assert labels(evidence, binary.titles) == binary.titles


def test_a_reason_with_a_dollar_sign_is_text(binary: Made) -> None:
    svg = ElementTree.parse(binary.folder / "flow.svg").getroot()
    described = svg.find(".//{http://purl.org/dc/elements/1.1/}description")
    assert described is not None
    assert HOSTILE in str(described.text)


def test_drawing_leaves_matplotlib_as_it_was(survival: Made, tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    survival.draw(tmp_path)
    assert dict(matplotlib.rcParams) == before


def test_a_candidate_keeps_its_mark_whoever_stands_beside_it() -> None:
    everyone = marks(list(MODULES))
    assert marks(["forest", "reference"]) == {name: everyone[name] for name in ("forest", "reference")}


def test_marks_tell_candidates_apart_in_black_and_white() -> None:
    many = marks([*MODULES, "catboost2", "mlp2"])
    assert len({mark.marker for mark in many.values()}) == len(many)
    assert len({(mark.colour, str(mark.dash)) for mark in many.values()}) == len(many)


def test_png_and_svg_are_what_their_names_say(binary: Made) -> None:
    assert (binary.folder / "roc.png").read_bytes().startswith(base64.b64decode("iVBORw0KGgo="))
    assert ElementTree.parse(binary.folder / "roc.svg").getroot().tag.endswith("svg")


def test_names_of_curves_that_end_together_do_not_lie_on_each_other(survival: Made) -> None:
    frame = survival.frames["risk_groups"]["linear"].assign(survival=0.99)
    drawn = risk_groups(frame, survival.evidence.endpoint.horizons[-1], title="a model")
    heights = sorted(text.xy[1] for text in drawn.axes[0].texts)
    assert len(heights) == frame["group"].nunique()
    assert np.diff(heights).min() > 0.059
    assert heights[-1] <= 1
