"""Figures of explanations: frames that say what was found, no patient in them, the same bytes each time."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from relapse.cohorts.schema import Cohort
from relapse.explanation.out_of_fold import Explained, explain
from relapse.figures.explanation.drawn import _value, beeswarm, waterfall
from relapse.figures.explanation.files import write_explanation
from relapse.figures.style import save
from relapse.ground.files import read_json
from relapse.machinery import Machinery
from relapse.params import ExplainParams
from relapse.training.splits import outer_folds
from tests.bundle.making import small_model

FILES = [f"{name}{suffix}" for name in ("beeswarm", "importance", "waterfall") for suffix in (".csv", ".png", ".svg")]


@pytest.fixture(scope="module", params=[("gbsg", "forest"), ("wpbc", "reference")], ids="-".join)
def made(
    request: pytest.FixtureRequest,
    cohorts: dict[str, Cohort],
    _tables: dict[str, pd.DataFrame],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Explained, Cohort, pd.DataFrame]:
    name, candidate = request.param
    cohort, table = cohorts[name], _tables[name]
    folds = outer_folds(table, folds=2, repeats=1, seed=3)
    models = {
        fold: small_model(cohort, table[(folds["fold"] != fold).to_numpy()].reset_index(drop=True), candidate)
        for fold in (0, 1)
    }
    found = explain(
        table,
        cohort,
        folds,
        {candidate: models},
        params=ExplainParams(background=4, shuffles=2, resamples=100, correlated=0.8),
        seed=1,
        machinery=Machinery(workers=1, tracking_uri="", artifact_root=None, backend="fork"),
    )[candidate]
    folder = tmp_path_factory.mktemp("explained")
    write_explanation(folder, found, table, cohort, candidate=candidate, title="Some model")
    return folder, found, cohort, table


def test_each_figure_stands_beside_its_frame(made: tuple[Path, Explained, Cohort, pd.DataFrame]) -> None:
    folder = made[0]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, "explanation.json", "shap.parquet"])


def test_the_frames_say_what_was_found(made: tuple[Path, Explained, Cohort, pd.DataFrame]) -> None:
    folder, found, cohort, table = made
    swarm, bars, steps = (pd.read_csv(folder / f"{name}.csv") for name in ("beeswarm", "importance", "waterfall"))
    assert len(swarm) == len(table) * len(cohort.predictors)
    assert swarm["level"].dropna().between(0, 1).all()
    for item in found.importance:
        row = bars.set_index("features").loc[" + ".join(item.features)]
        assert row["shap"] == pytest.approx(item.shap)
        assert row["loss"] == pytest.approx(item.loss.value)
    alone = bars[bars["together"] == 0]
    assert (np.diff(alone["shap"]) <= 0).all()
    for _, patient in steps.groupby("patient"):
        assert patient["base"].iloc[0] + patient["shap"].sum() == pytest.approx(patient["output"].iloc[0])
    outputs = steps.groupby("patient")["output"].first()
    assert outputs["low"] <= outputs["middle"] <= outputs["high"]
    assert read_json(folder / "explanation.json")["scale"] == found.scale


def test_no_frame_names_a_patient_or_links_the_values_of_one(
    made: tuple[Path, Explained, Cohort, pd.DataFrame],
) -> None:
    """Within a feature the rows of the beeswarm are sorted by value, so that a row's place says nothing about who."""
    folder = made[0]
    for name in ("beeswarm", "importance", "waterfall"):
        assert not {"row", "id"} & set(pd.read_csv(folder / f"{name}.csv").columns)
    assert set(pd.read_csv(folder / "waterfall.csv")["patient"]) == {"low", "middle", "high"}
    for _, rows in pd.read_csv(folder / "beeswarm.csv").groupby("feature"):
        assert rows["shap"].is_monotonic_increasing


def test_the_same_explanation_is_the_same_bytes_and_loads_nothing(
    made: tuple[Path, Explained, Cohort, pd.DataFrame], tmp_path: Path
) -> None:
    folder, found, cohort, table = made
    write_explanation(
        tmp_path,
        found,
        table,
        cohort,
        candidate=read_json(folder / "explanation.json")["candidate"],
        title="Some model",
    )
    for path in folder.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name
    for path in folder.glob("*.svg"):
        text = path.read_text()
        assert len(text) < 400_000, "points are a bitmap"
        assert not re.search(r"(?:href|src)=\"(?!#|data:)", text), path.name
        described = ElementTree.fromstring(text).find(".//{http://purl.org/dc/elements/1.1/}description")
        assert described is not None
        assert "Some model" in str(described.text)


def test_the_beeswarm_is_drawn_by_shap_and_the_numbers_drawn_elsewhere_stay_the_same(
    made: tuple[Path, Explained, Cohort, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes its chance from numpy's global state, which is put back."""
    import shap

    frame = pd.read_csv(made[0] / "beeswarm.csv")
    asked = []
    plot = shap.plots.beeswarm

    def seen(found: shap.Explanation, **look: object) -> object:
        asked.append(found)
        return plot(found, **look)

    monkeypatch.setattr(shap.plots, "beeswarm", seen)
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    figure = beeswarm(frame, scale="log-hazard", title="Some model")
    assert np.random.random() == expected  # noqa: NPY002
    used = list(dict.fromkeys(frame.loc[frame["shap"] != 0, "label"]))[:12]
    assert asked[0].feature_names == used
    shown = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert sorted(shown) == sorted(used)
    assert {text.get_fontsize() for text in figure.axes[0].get_yticklabels()} == {7.5}


def test_a_beeswarm_takes_levels_that_are_all_missing_and_models_that_use_nothing(tmp_path: Path) -> None:
    rows = pd.DataFrame({"feature": "a", "label": "A $1$", "shap": [-1.0, 0.0, 2.0], "level": np.nan})
    rare = rows.assign(feature="b", label="B", level=[0.0, np.nan, 0.0])
    save(beeswarm(pd.concat([rows, rare]), scale="log-hazard", title="Gaps"), tmp_path / "gaps")
    save(beeswarm(rows.assign(shap=0.0), scale="log-hazard", title="Nothing"), tmp_path / "nothing")
    assert "most important first: []" in (tmp_path / "nothing.svg").read_text()


def test_values_are_rounded_as_declared(cohorts: dict[str, Cohort]) -> None:
    cohort = cohorts["gbsg"]
    assert _value(34.71, cohort, "tsize") == "35 mm"
    assert _value(4.6, cohort, "pnodes") == "5"
    assert _value("III", cohort, "tgrade") == "III"
    assert _value("missing", cohort, "tsize") == "missing"
    assert _value(0.08712, cohorts["wpbc"], "mean_smoothness") == "0.087"


def test_a_model_that_says_the_same_of_everybody_is_drawn_without_bars(tmp_path: Path) -> None:
    rows = [
        {"patient": size, "base": 0.4, "output": 0.4, "feature": "age", "label": "Age", "value": "50", "shap": 0.0}
        for size in ("low", "middle", "high")
    ]
    save(waterfall(pd.DataFrame(rows), scale="log-hazard", title="A forest"), tmp_path / "waterfall")
    assert "low risk, average 0.40, this patient 0.40" in (tmp_path / "waterfall.svg").read_text()
