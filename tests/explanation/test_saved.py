"""What stage explain wrote is read again as a ``shap.Explanation``, which shap's own plots take."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relapse.cohorts.catalogue import to_yaml
from relapse.cohorts.schema import Cohort
from relapse.explanation.out_of_fold import Explained, explain
from relapse.explanation.saved import as_explanation, read_explanation
from relapse.figures.explanation.files import write_explanation
from relapse.ground.errors import SourceError
from relapse.ground.files import write_parquet, write_text
from relapse.ground.workspace import Workspace
from relapse.machinery import Machinery
from relapse.params import ExplainParams
from relapse.training.splits import outer_folds
from tests.bundle.making import small_model
from tests.wide import wide_cohort, wide_table

Written = tuple[Workspace, Explained, Cohort, pd.DataFrame]


@pytest.fixture(scope="module")
def written(
    cohorts: dict[str, Cohort], _tables: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> Written:
    """The results of stages ingest and explain, of rows some of whose values are missing."""
    cohort, table = cohorts["gbsg"], _tables["gbsg"][:200].copy()
    table.loc[3, "tsize"], table.loc[4, "tgrade"] = np.nan, None
    at = Workspace("gbsg", tmp_path_factory.mktemp("project"))
    write_parquet(at.table, table)
    write_text(at.resolved, to_yaml(cohort))
    folds = outer_folds(table, folds=2, repeats=1, seed=3)
    models = {
        fold: small_model(cohort, table[(folds["fold"] != fold).to_numpy()].reset_index(drop=True), "xgboost")
        for fold in (0, 1)
    }
    found = explain(
        table,
        cohort,
        folds,
        {"xgboost": models},
        params=ExplainParams(background=4, shuffles=1, resamples=100, correlated=0.8),
        seed=1,
        machinery=Machinery(workers=1, tracking_uri="", artifact_root=None, backend="loky"),
    )["xgboost"]
    write_explanation(at.explained("xgboost"), found, table, cohort, candidate="xgboost", title="XGBoost")
    return at, found, cohort, table


def test_what_was_written_comes_back_as_an_explanation(written: Written) -> None:
    import shap

    at, found, cohort, table = written
    read = read_explanation(at, "xgboost")
    assert isinstance(read, shap.Explanation)
    np.testing.assert_array_equal(read.values, found.shap[cohort.explained].to_numpy())
    np.testing.assert_allclose(read.base_values + read.values.sum(axis=1), found.shap["output"])
    assert read.feature_names == cohort.explained
    assert read.output_names == found.scale == "log-hazard"
    assert read.instance_names == [str(row) for row in sorted(table["row"])]
    assert list(np.round(read[:, "pnodes"].data.astype(float), 9)) == list(table["pnodes"])


def test_data_are_what_plots_colour_and_what_a_person_reads(written: Written) -> None:
    at, _, cohort, table = written
    read = read_explanation(at, "xgboost")
    size, grade = (cohort.explained.index(name) for name in ("tsize", "tgrade"))
    assert read.display_data[3, size] == read.display_data[4, grade] == "missing"
    assert np.isnan(read.data[3, size])
    assert np.isnan(read.data[4, grade])
    assert read.display_data[0, size] == table["tsize"].iloc[0]
    assert set(read.display_data[:, grade]) == {"I", "II", "III", "missing"}
    assert {value for value in read.data[:, grade] if value == value} == {0.0, 1.0, 2.0}


def test_levels_without_order_and_blocks_are_texts_which_plots_leave_grey(cohorts: dict[str, Cohort]) -> None:
    cohort = wide_cohort(survival=False, harmonise="combat")
    table = wide_table(cohort)[:10]
    values = np.zeros((10, len(cohort.explained)))
    found = as_explanation(values, np.zeros(10), table, cohort, scale="log-odds of relapse")
    block = cohort.explained.index("mri_scan")
    assert set(found.data[:, block]) == set(found.display_data[:, block]) == {"as a whole"}
    unordered = cohorts["gbsg"].features["tgrade"].model_copy(update={"type": "nominal"})
    grades = cohorts["gbsg"].model_copy(update={"features": {"tgrade": unordered}, "reference": ("tgrade",)})
    rows = pd.DataFrame({"tgrade": pd.Categorical(["III", None, "I"], ["I", "II", "III"])})
    found = as_explanation(np.zeros((3, 1)), np.zeros(3), rows, grades, scale="log-hazard")
    assert found.data[:, 0].tolist() == ["III", "missing", "I"]


def test_shaps_plots_take_it_without_a_warning(written: Written) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt
    import shap

    read = read_explanation(written[0], "xgboost")
    for plot, of in ((shap.plots.beeswarm, read), (shap.plots.bar, read), (shap.plots.waterfall, read[4])):
        figure = plt.figure()
        plot(of, show=False)
        figure.canvas.draw()
        texts = {text.get_text() for axes in figure.axes for text in axes.get_yticklabels()}
        assert any("pnodes" in text for text in texts)
        plt.close(figure)


def test_the_table_of_single_rows_holds_no_value_of_a_feature(written: Written) -> None:
    """Those stand in the canonical table, and the reader joins them: one place that patients' values lie in."""
    at, _, cohort, table = written
    frame = pd.read_parquet(at.shapley_values("xgboost"))
    assert list(frame.columns) == ["row", "patient", "fold", "base", "output", *cohort.explained]
    nodes = set(table["pnodes"])
    assert not nodes & set(frame["pnodes"])


def test_an_explanation_that_is_not_there_or_of_another_table_is_refused(written: Written, tmp_path: Path) -> None:
    at, _, cohort, table = written
    with pytest.raises(SourceError, match=r"shap\.parquet is not there: mlp of cohort gbsg was not explained"):
        read_explanation(at, "mlp")
    other = Workspace("gbsg", tmp_path)
    write_text(other.resolved, to_yaml(cohort))
    shutil.copytree(at.explained("xgboost"), other.explained("xgboost"))
    added = table[-1:].assign(row=table["row"].max() + 1)
    for changed in (table[:-1], pd.concat([table, added]), pd.concat([table[:-1], added])):
        write_parquet(other.table, changed)
        with pytest.raises(SourceError, match="made of another table or declaration"):
            read_explanation(other, "xgboost")


def test_those_drawn_of_a_large_table_are_read_with_their_own_features(written: Written, tmp_path: Path) -> None:
    at, found, cohort, table = written
    drawn = Workspace("gbsg", tmp_path)
    write_text(drawn.resolved, to_yaml(cohort))
    write_parquet(drawn.table, table)
    some = replace(found, shap=found.shap[20:60].reset_index(drop=True))
    write_explanation(drawn.explained("xgboost"), some, table, cohort, candidate="xgboost", title="XGBoost")
    read, whole = read_explanation(drawn, "xgboost"), read_explanation(at, "xgboost")
    assert read.shape == (40, len(cohort.explained))
    assert read.instance_names == whole.instance_names[20:60]
    assert (read.display_data == whole.display_data[20:60]).all()
