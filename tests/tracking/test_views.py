"""MLflow's UI is led to the candidates of the latest state; what people wrote of an experiment stays."""

import json
import socket
from pathlib import Path

import pytest
from mlflow import MlflowClient

from relapse.ground.errors import RegistryError
from relapse.tracking.registry.models import PARENT
from relapse.tracking.ui import serve_ui
from relapse.tracking.views import TAG, compared, links, save_view

AT = "http://127.0.0.1:5000"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    """MLflow on a file of its own."""
    return MlflowClient(f"sqlite:///{tmp_path_factory.mktemp('views') / 'mlflow.db'}")


def _state(client: MlflowClient, experiment_id: str, candidates: int) -> tuple[str, list[str]]:
    parent = client.create_run(experiment_id).info.run_id
    return parent, [client.create_run(experiment_id, tags={PARENT: parent}).info.run_id for _ in range(candidates)]


def test_the_view_shows_the_candidates_of_the_latest_state_and_no_others(client: MlflowClient, tmp_path: Path) -> None:
    experiment_id = client.create_experiment("fjord", artifact_location=str(tmp_path))
    plain = links(client, "fjord", AT)
    assert plain is not None
    assert (plain.candidates, plain.comparison, plain.champion) == (f"{AT}/#/experiments/{experiment_id}/runs", "", "")
    for candidates in (3, 2):
        parent, children = _state(client, experiment_id, candidates)
        save_view(client, experiment_id, "fjord", parent, primary="harrell_c")
    view = json.loads(client.get_experiment(experiment_id).tags[TAG])
    shown = client.search_runs([experiment_id], view["searchFilter"])
    assert {run.info.run_id for run in shown} == set(children)
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`harrell_c`", False)
    assert view["selectedColumns"][:2] == ["metrics.`harrell_c`", "metrics.`harrell_c_lower`"]
    found = links(client, "fjord", AT)
    assert found is not None
    view_of = f"{AT}/#/experiments/{experiment_id}/runs?viewStateShareKey=candidates&workflowType=machine_learning"
    assert found.candidates == view_of
    assert found.models == f"{AT}/#/experiments/{experiment_id}/models?workflowType=machine_learning"
    assert found.comparison == f"{AT}/{compared([run.info.run_id for run in shown], experiment_id)}"


def test_what_people_wrote_of_an_experiment_stays(client: MlflowClient, tmp_path: Path) -> None:
    tags = {"mlflow.note.content": "Ours."}
    mine = client.create_experiment("ward", artifact_location=str(tmp_path), tags=tags)
    other = client.create_experiment("shore", artifact_location=str(tmp_path))
    for name, experiment_id in (("ward", mine), ("shore", other)):
        save_view(client, experiment_id, name, _state(client, experiment_id, 1)[0], primary="auc")
    assert client.get_experiment(mine).tags["mlflow.note.content"] == "Ours."
    assert "cohort shore" in client.get_experiment(other).tags["mlflow.note.content"]


def test_a_cohort_that_was_never_published_or_was_deleted_has_no_links(client: MlflowClient, tmp_path: Path) -> None:
    assert links(client, "nowhere", AT) is None
    client.delete_experiment(client.create_experiment("gone", artifact_location=str(tmp_path)))
    assert links(client, "gone", AT) is None


def test_a_port_that_is_taken_is_said_before_anything_is_started(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RegistryError, match=f"Something listens on 127.0.0.1:{port} already"):
            serve_ui(f"sqlite:///{tmp_path / 'mlflow.db'}", host="127.0.0.1", port=port, opened=None)
    assert not list(tmp_path.iterdir())
