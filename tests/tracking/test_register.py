"""Registering is idempotent, survives an interruption, moves the alias only by decision, and gives back what it took."""

import json
import tarfile
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from relapse.bundle.load import describe_bundle, load_bundle, verify_bundle
from relapse.bundle.model_file import load_model
from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import read_table
from relapse.cohorts.typical import typical_values
from relapse.ground.errors import NoTrialError, RegistryError, SourceError
from relapse.ground.workspace import Workspace
from relapse.machinery import machinery
from relapse.params import read_params
from relapse.tracking.client import connect
from relapse.tracking.compare import compare_runs
from relapse.tracking.publishing.candidates import SEARCH
from relapse.tracking.publishing.comparisons import TABLE
from relapse.tracking.registry.models import CHAMPION, CONTENT, champion_version, fetch_champion
from relapse.training.record import write_failure
from tests.project import Project
from tests.tracking.conftest import COHORT

pytestmark = pytest.mark.slow


def _client() -> MlflowClient:
    return connect(machinery())


def _runs(client: MlflowClient) -> list[Any]:
    return client.search_runs([client.get_experiment_by_name(COHORT).experiment_id])


def _decision() -> dict[str, Any]:
    return json.loads(Workspace(COHORT).decision.read_text())


def test_one_parent_and_a_child_a_candidate_with_everything_that_tells_the_story(project: Project) -> None:
    project.stage("register", cohort=COHORT)
    client = _client()
    runs = _runs(client)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    assert len(runs) == 3
    evidence = json.loads(Workspace(COHORT).evidence.read_text())
    for run in runs:
        assert run.info.status == "FINISHED"
        assert run.data.tags[CONTENT] == _decision()["content_hash"]
        assert "relapse.git_commit" in run.data.tags
        assert run.inputs.dataset_inputs[0].dataset.name == COHORT
    for child in (run for run in runs if run not in parents):
        name = child.data.params["candidate"]
        metrics = next(item["metrics"] for item in evidence["candidates"] if item["name"] == name)
        assert child.data.metrics["auc"] == pytest.approx(metrics["auc"]["value"])
        assert child.data.metrics["auc_lower"] == pytest.approx(metrics["auc"]["lower"])
        if name == "linear":
            (test,) = [item for item in evidence["comparisons"] if item["metric"] == "auc"]
            assert child.data.metrics["difference_to_reference_p"] == pytest.approx(test["test"]["p"])
            assert abs(child.data.metrics["difference_to_reference"]) == pytest.approx(abs(test["test"]["difference"]))
        folders = {item.path for item in client.list_artifacts(child.info.run_id)}
        assert {"predictions", "training", "explanation"} <= folders
        explained = {Path(item.path).name for item in client.list_artifacts(child.info.run_id, "explanation")}
        assert {"beeswarm.png", "importance.csv", "explanation.json"} <= explained
        assert not any(name.endswith(".parquet") for name in explained), "rows that name patients stay at home"
    told = {item.path for item in client.list_artifacts(parents[0].info.run_id)}
    rows = mlflow.load_table(TABLE, run_ids=[parents[0].info.run_id])
    assert len(rows) == len(evidence["comparisons"])
    tags = client.get_experiment_by_name(COHORT).tags
    assert parents[0].info.run_id in tags["mlflow.sharedViewState.candidates"]
    assert {"figures", "evaluation", "description", "audit", "report", "decision", "data"} <= told


def _models(client: MlflowClient) -> dict[str, Any]:
    found = client.search_logged_models([client.get_experiment_by_name(COHORT).experiment_id])
    assert len({model.name for model in found}) == len(found)
    return {model.name: model for model in found}


def test_every_candidate_has_one_model_that_answers_as_its_final_one_does(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    project.stage("register", cohort=COHORT)
    at, client = Workspace(COHORT), _client()
    cohort = read_cohort(at.resolved)
    table, raw = read_table(at.table, cohort), pd.read_parquet(at.table)
    evidence = {item["name"]: item for item in json.loads(at.evidence.read_text())["candidates"]}
    expected = {name: load_model(at.model(name)).predict_risk(table, None) for name in ("reference", "linear")}
    found = _models(client)
    assert found.keys() == expected.keys()
    # A model that is loaded needs nothing of what it was trained from.
    project.root.joinpath("results").rename(project.root / "elsewhere")
    for name, model in found.items():
        loaded = mlflow.pyfunc.load_model(model.model_uri)
        given = loaded.input_example
        assert list(given.iloc[0]) == list(typical_values(cohort).values()), "made from the declaration, by no patient"
        assert np.isfinite(loaded.predict(given)["risk"]).all()
        for asked in (table, raw):
            np.testing.assert_array_equal(loaded.predict(asked)["risk"], expected[name].ravel())
        # Whole numbers too, which MLflow's own check of columns would refuse.
        first = cohort.predictors[0]
        rounded = raw.assign(**{first: raw[first].round()})
        pd.testing.assert_frame_equal(
            loaded.predict(rounded.astype({first: "int64"})), loaded.predict(rounded), check_exact=True
        )
        with pytest.raises(SourceError, match=f"the table has no column {first}"):
            loaded.predict(raw.drop(columns=first))
        assert loaded.metadata.get_input_schema().input_names() == list(cohort.predictors)
        metrics = {metric.key: metric for metric in model.metrics}
        assert metrics["auc"].value == pytest.approx(evidence[name]["metrics"]["auc"]["value"])
        assert metrics["auc_upper"].value == pytest.approx(evidence[name]["metrics"]["auc"]["upper"])
        assert {metric.dataset_name for metric in model.metrics} == {COHORT}
        run = client.get_run(model.source_run_id)
        assert run.data.params == model.params
        assert not any(key.startswith("system/") for key in run.data.metrics)
        assert model.tags["relapse.git_commit"] == run.data.tags["relapse.git_commit"]
    (version,) = client.search_model_versions(f"name='relapse-{COHORT}'")
    made = found[version.tags["relapse.candidate"]]
    assert version.source == f"models:/{made.model_id}"
    assert json.loads(made.tags["mlflow.modelVersions"]) == [{"name": f"relapse-{COHORT}", "version": "1"}]


def test_the_final_search_is_a_table_with_a_column_a_hyperparameter(project: Project) -> None:
    project.stage("register", cohort=COHORT)
    client, trials = _client(), pd.read_parquet(Workspace(COHORT).trials("linear"))
    (run,) = (run for run in _runs(client) if run.data.params.get("candidate") == "linear")
    shown = mlflow.load_table(SEARCH, run_ids=[run.info.run_id])
    final = trials[trials["fold"] == -1]
    assert len(shown) == len(final) == 2
    assert list(shown.columns[:4]) == ["number", "value", "state", "seconds"]
    np.testing.assert_allclose(shown["value"].astype(float), final["value"])
    assert set(shown.columns[4:]) == set().union(*map(json.loads, final["params"]))


def test_registering_again_adds_nothing(project: Project) -> None:
    project.stage("register", cohort=COHORT)
    before, decision = {run.info.run_id for run in _runs(_client())}, _decision()
    models = {model.model_id for model in _models(_client()).values()}
    project.stage("register", cohort=COHORT)
    assert {model.model_id for model in _models(_client()).values()} == models
    assert {run.info.run_id for run in _runs(_client())} == before
    assert _decision() == decision
    assert len(_client().search_model_versions(f"name='relapse-{COHORT}'")) == 1


def test_an_interrupted_publication_is_replaced_by_a_whole_one(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from relapse.tracking.publishing import publish

    def interrupted(*arguments: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publish, "_register", interrupted)
        with pytest.raises(KeyboardInterrupt):
            project.stage("register", cohort=COHORT)
    assert not Workspace(COHORT).decision.exists()
    project.stage("register", cohort=COHORT)
    runs = _runs(_client())
    assert len(runs) == 3
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert _models(_client()).keys() == {"reference", "linear"}, "those of the interrupted one are gone"


def test_what_was_published_in_another_bundle_format_is_published_anew(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.stage("register", cohort=COHORT)
    monkeypatch.setattr("relapse.tracking.publishing.source.FORMAT", 0)
    project.stage("register", cohort=COHORT)
    assert _decision()["champion"]["version"] == "2"


def test_the_report_s_documents_are_artifacts_and_the_card_describes_the_version(project: Project) -> None:
    project.stage("register", cohort=COHORT)
    project.stage("report", cohort=COHORT)
    client = _client()
    parent = next(run for run in _runs(client) if "mlflow.parentRunId" not in run.data.tags)
    folder = Path(client.download_artifacts(parent.info.run_id, "report"))
    written = {path.name: path.read_text() for path in Workspace(COHORT).report.iterdir()}
    assert {path.name: path.read_text() for path in folder.iterdir()} == written
    version = champion_version(client, COHORT)
    told, _, rest = version.description.rpartition("\nThe rest stands in")
    assert written["model_card.md"].startswith(told)
    assert "## Performance" in told
    assert rest
    assert len(version.description) <= 5000


def test_the_champion_s_bundle_comes_back_as_it_was_registered(project: Project, tmp_path: Path) -> None:
    project.stage("register", cohort=COHORT)
    version = fetch_champion(_client(), COHORT, tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    assert version.candidate == _decision()["challenger"] == bundle.manifest.candidate
    assert bundle.manifest.content_hash == _decision()["content_hash"]
    table = pd.read_parquet(Workspace(COHORT).table)
    risk = bundle.model.predict_risk(table)
    assert ((risk > 0) & (risk < 1)).all()


def test_mlflow_loads_the_registered_model(project: Project) -> None:
    import mlflow

    project.stage("register", cohort=COHORT)
    _client()
    table = pd.read_parquet(Workspace(COHORT).table)
    loaded = mlflow.pyfunc.load_model(f"models:/relapse-{COHORT}@{CHAMPION}")
    assert np.isfinite(loaded.predict(table)["risk"]).all()


def test_a_worse_challenger_is_kept_out_and_its_decision_written(project: Project) -> None:
    project.stage("register", cohort=COHORT)
    at = Workspace(COHORT)
    for name in ("reference", "linear"):
        predictions = pd.read_parquet(at.predictions(name))
        rng = np.random.default_rng(0)
        predictions["score"] = rng.normal(size=len(predictions)) - 2 * predictions["event"]
        predictions["risk"] = 1 / (1 + np.exp(-predictions["score"]))
        predictions.to_parquet(at.predictions(name), index=False)
    project.stage("evaluate", cohort=COHORT)
    project.stage("register", cohort=COHORT)
    decision = _decision()
    assert not decision["promoted"]
    assert decision["champion"]["version"] == "1"
    assert champion_version(_client(), COHORT).version == "1" or champion_version(_client(), COHORT).version == 1
    assert len(_client().search_model_versions(f"name='relapse-{COHORT}'")) == 2


def test_an_empty_registry_has_no_champion_to_give(project: Project, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=f"relapse-{COHORT} has no champion"):
        fetch_champion(_client(), COHORT, tmp_path / "bundle")


def test_a_champion_that_somebody_else_registered_is_refused(project: Project, tmp_path: Path) -> None:
    client = _client()
    client.create_registered_model(f"relapse-{COHORT}")
    version = client.create_model_version(f"relapse-{COHORT}", (tmp_path / "elsewhere").as_uri())
    client.set_registered_model_alias(f"relapse-{COHORT}", CHAMPION, version.version)
    with pytest.raises(RegistryError, match="was not registered by this project"):
        project.stage("register", cohort=COHORT)


def test_lost_artifacts_are_named_and_nothing_is_half_done(project: Project, tmp_path: Path) -> None:
    import shutil

    project.stage("register", cohort=COHORT)
    shutil.rmtree(project.root / "mlruns" / "artifacts")
    with pytest.raises(RegistryError, match="version 1: its files cannot be read from MLflow's artifacts"):
        fetch_champion(_client(), COHORT, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_candidate_without_a_successful_trial_is_left_out_and_named(project: Project) -> None:
    at, params = Workspace(COHORT), read_params()
    for path in (at.predictions("linear"), at.trials("linear"), at.model("linear")):
        path.unlink()
    error = NoTrialError("Elastic net: none of 2 trials succeeded (ValueError: planted).")
    declared = read_cohort(at.resolved)
    asked = {"candidate": "linear", "seed": params.seed, "settings": params.train}
    write_failure(at.record("linear"), error, cohort=declared, **asked)
    for stage in ("evaluate", "register", "report"):
        project.stage(stage, cohort=COHORT)
    assert [item["name"] for item in json.loads(at.evidence.read_text())["candidates"]] == ["reference"]
    assert _decision()["challenger"] == "reference"
    page = (at.report / "report.html").read_text()
    assert "Elastic net is missing" in page
    assert "none of 2 trials succeeded" in page
    runs = _runs(_client())
    failed = [run for run in runs if run.info.status == "FAILED"]
    assert [run.data.params["candidate"] for run in failed] == ["linear"]
    notes = [run.data.tags["mlflow.note.content"] for run in runs if "mlflow.note.content" in run.data.tags]
    assert len(notes) == 2
    assert all("none of 2 trials succeeded" in note for note in notes)
    project.stage("register", cohort=COHORT)
    assert len(_runs(_client())) == len(runs)


def test_two_runs_are_compared_by_what_changed_and_what_it_did(project: Project) -> None:
    project.stage("register", cohort=COHORT)
    declaration = Workspace(COHORT).resolved
    declaration.write_text(declaration.read_text().replace("title: Wisconsin", "title: The Wisconsin"))
    project.set_params(train={"inner_folds": 2, "trials": 3})
    project.stage("train", cohort=COHORT, candidate="linear")
    project.stage("evaluate", cohort=COHORT)
    project.stage("register", cohort=COHORT)
    client = _client()
    first, second = sorted(
        (run for run in _runs(client) if "mlflow.parentRunId" not in run.data.tags), key=lambda run: run.info.start_time
    )
    found = compare_runs(client, first.info.run_id, second.info.run_id[:12])
    changed = {(item.kind, item.what): (item.before, item.after) for item in found.changes}
    assert changed["parameters", "train.trials"] == ("2", "3")
    assert changed["declaration", "lines"][1].startswith("title: The Wisconsin")
    assert not any(item.kind == "data" for item in found.changes)
    effects = {item.after_name: item for item in found.effects if item.before_name == item.after_name}
    assert effects["reference"].test is not None
    assert effects["reference"].test.difference == 0
    assert "198 rows" in effects["reference"].note
    again = compare_runs(client, first.info.run_id, first.info.run_id)
    assert again.changes == ()


def test_without_a_declared_patient_a_champion_of_another_table_cannot_be_compared(project: Project) -> None:
    project.stage("register", cohort=COHORT)
    at = Workspace(COHORT)
    flow = json.loads(at.flow.read_text())
    at.flow.write_text(json.dumps(flow | {"fingerprint": "sha256:another"}))
    path = project.root / "params.yaml"
    path.write_text(path.read_text().replace("significance: 0.05", "significance: 0.06"))
    project.stage("register", cohort=COHORT)
    assert not _decision()["promoted"]
    assert "trained on another table, and without a declared patient nobody can tell" in _decision()["summary"]
    assert _decision()["champion"]["version"] == "1"


def test_an_external_validation_is_logged_under_the_version_and_marks_it(project: Project) -> None:
    project.stage("register", cohort=COHORT)
    text = Workspace(COHORT).declaration.read_text()
    (project.root / "data" / "cohorts" / "elsewhere.yaml").write_text(text.replace("name: wpbc", "name: elsewhere"))
    done = project.run("relapse", "validate", f"relapse-{COHORT}@champion", "elsewhere")
    assert done.returncode == 0, done.stdout
    (run,) = (run for run in _runs(_client()) if "relapse.validates" in run.data.tags)
    assert run.data.tags["relapse.validates"] == f"relapse-{COHORT}/1"
    assert run.data.params["cohort"] == "elsewhere"
    assert "These patients ask for the model " in done.stdout
    assert {"evidence.json", "update.json", "plots", "figures"} == {
        Path(item.path).name for item in _client().list_artifacts(run.info.run_id, "evaluation")
    }
    assert f"{run.data.metrics['auc']:.3f}" in project.run("relapse", "registry", "show", COHORT).stdout
    told = json.loads(Workspace(COHORT).published.read_text())["champion"]["validations"]
    assert [(item["cohort"], item["run"]) for item in told] == [("elsewhere", run.info.run_id)]
    before = fetch_champion(_client(), COHORT, project.root / "before") and verify_bundle(project.root / "before")
    project.stage("package", cohort=COHORT)
    packaged = describe_bundle(Workspace(COHORT).bundle)
    assert packaged.manifest == before
    assert packaged.validations is not None
    assert [item.model_dump() for item in packaged.validations.found] == told
    with tarfile.open(Workspace(COHORT).bento) as archive:
        assert any(name.endswith("src/bundle.validations.json") for name in archive.getnames())
    refused = project.run("relapse", "validate", f"relapse-{COHORT}@champion", COHORT)
    assert (refused.returncode, "name another cohort" in refused.stdout) == (2, True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wpbc", "'wpbc' is no run: give a run's ID"),
        ("abcdef012345", "0 runs begin like this"),
        ("relapse-wpbc@nobody", "relapse-wpbc@nobody: not found in MLflow"),
    ],
)
def test_a_run_that_is_not_there_is_named(project: Project, name: str, message: str) -> None:
    with pytest.raises(RegistryError, match=message):
        compare_runs(_client(), name, name)
