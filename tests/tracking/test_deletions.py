"""Whatever people delete, rename, move or alter in MLflow or on disk is found, and comes back or is refused whole."""

import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from relapse.ground.errors import RegistryError
from relapse.ground.workspace import Workspace
from relapse.machinery import machinery
from relapse.tracking.client import connect
from relapse.tracking.registry.faults import faults
from relapse.tracking.registry.marks import RESULT, VALIDATES, validations_of
from relapse.tracking.registry.models import PARENT, champion_version, model_name, parent_run
from relapse.tracking.registry.moves import digest_of, rollback
from relapse.tracking.registry.records import history, record_file
from relapse.tracking.registry.repair import repair
from tests.project import ROOT, Project
from tests.tracking.conftest import COHORT

pytestmark = pytest.mark.slow

MODEL = model_name(COHORT)

CODE = re.compile(r"""Fault\(\s*"(M\d{3})\"""")


@dataclass(frozen=True)
class Standing:
    """A registry with two champions, one after the other, and a challenger."""

    project: Project
    client: MlflowClient
    bundle: str

    @property
    def experiment(self) -> str:
        return str(next(iter(self.client.search_experiments(filter_string=f"name = '{COHORT}'"))).experiment_id)

    def child(self, version: str) -> str:
        return str(self.client.get_model_version(MODEL, version).run_id)

    def parent(self, version: str) -> str:
        return parent_run(self.client, self.client.get_model_version(MODEL, version))

    def register(self) -> None:
        self.project.stage("register", cohort=COHORT)

    def remove_runs(self, *runs: str) -> None:
        """What ``mlflow gc`` does with runs."""
        done = self.project.run(
            "env",
            f"MLFLOW_TRACKING_URI={self.client.tracking_uri}",
            "mlflow",
            "gc",
            "--run-ids",
            ",".join(runs),
            "--backend-store-uri",
            self.client.tracking_uri,
        )
        assert done.returncode == 0, done.stdout

    def artifact(self, pattern: str) -> Path:
        return next((self.project.root / "mlruns" / "artifacts").rglob(pattern))


def _set_significance(project: Project, value: float) -> None:
    from ruamel.yaml import YAML

    path = project.root / "params.yaml"
    content = YAML().load(path)
    content["register"]["significance"] = value
    YAML().dump(content, path)


@pytest.fixture(scope="module")
def registered(evaluated: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Version 1 was champion, version 2 is, version 3 waits."""
    root = tmp_path_factory.mktemp("registered") / "project"
    shutil.copytree(evaluated.root, root)
    project = Project(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        project.stage("register", cohort=COHORT)
        _set_significance(project, 0.06)
        project.stage("register", cohort=COHORT)
        patch.setenv("RELAPSE_PROMOTE", "later")
        _set_significance(project, 0.07)
        project.stage("register", cohort=COHORT)
        shutil.copytree(root / "mlruns", root / "kept")
        yield project


@pytest.fixture
def standing(registered: Project, monkeypatch: pytest.MonkeyPatch) -> Standing:
    """That registry, as it was registered."""
    monkeypatch.setenv("RELAPSE_PROMOTE", "later")
    monkeypatch.chdir(registered.root)
    kept, mlruns = registered.root / "kept", registered.root / "mlruns"
    for path in mlruns.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    for path in kept.iterdir():
        if path.is_dir():
            shutil.copytree(path, mlruns / path.name)
    # In place: MLflow keeps its connections open.
    with closing(sqlite3.connect(kept / "mlflow.db")) as source, closing(sqlite3.connect(mlruns / "mlflow.db")) as now:
        source.backup(now)
    client = connect(machinery())
    champion = champion_version(client, COHORT)
    assert champion is not None
    return Standing(registered, client, digest_of(champion))


def _parents(client: MlflowClient) -> list[str]:
    where = [item.experiment_id for item in client.search_experiments(ViewType.ALL)]
    runs = client.search_runs(where, "tags.`relapse.state` = 'parent'", ViewType.ALL)
    assert {run.info.status for run in runs} <= {"FINISHED"}
    return sorted(run.info.run_id for run in runs)


def _whole(at: Standing) -> None:
    """The champion is the one of the records with the very bundle, and nothing is left to find."""
    champion = champion_version(at.client, COHORT)
    assert champion is not None
    assert digest_of(champion) == at.bundle
    last = history(at.client, COHORT)[-1]
    assert (last.to.version, last.to.bundle) == (str(champion.version), at.bundle)
    assert json.loads(Workspace(COHORT).decision.read_text())["champion"]["version"] == str(champion.version)
    assert faults(at.client, COHORT) == []


def _elsewhere(at: Standing) -> None:
    at.client.delete_registered_model(MODEL)
    at.client.create_registered_model(MODEL)
    at.client.create_model_version(MODEL, at.project.root.as_uri())


def _another_experiment(at: Standing) -> None:
    at.client.rename_experiment(experiment := at.experiment, "old")
    at.client.delete_experiment(experiment)
    at.client.create_experiment(COHORT)


def _all_versions(at: Standing) -> None:
    for version in ("1", "2", "3"):
        at.client.delete_model_version(MODEL, version)


def _rewritten(path: Path) -> None:
    path.chmod(0o644)
    path.write_text(path.read_text().replace("promote", "demote"))


def _remove_state(at: Standing, version: str) -> None:
    runs = [at.parent(version), at.child(version)]
    for run in runs:
        at.client.delete_run(run)
    at.remove_runs(*runs)


def _receipt_of_another(at: Standing) -> None:
    path = Workspace(COHORT).published
    path.write_text(json.dumps(json.loads(path.read_text()) | {"registry": "http://elsewhere"}))


def _stale_receipt(at: Standing) -> None:
    path = Workspace(COHORT).published
    path.write_text(json.dumps(json.loads(path.read_text()) | {"champion": None}))


def _logged_model(at: Standing, version: str) -> None:
    source = at.client.get_model_version(MODEL, version).source
    assert source is not None
    at.client.delete_logged_model(source.rpartition("/")[2])


def _candidates_model(at: Standing) -> None:
    """That of the candidate that was not put forward in the last state."""
    where = at.client.get_run(at.parent("3"))
    below = at.client.search_runs([at.experiment], f"tags.`{PARENT}` = '{where.info.run_id}'")
    (other,) = (run for run in below if run.info.run_id != at.child("3"))
    (logged,) = other.outputs.model_outputs
    at.client.delete_logged_model(logged.model_id)


Plant = Callable[[Standing], object]

#: What was done, the code of the fault, and what the register stage says, or None where it puts it right by itself.
CASES: dict[str, tuple[Plant, str, str | None]] = {
    "experiment deleted": (
        lambda at: at.client.delete_experiment(at.experiment),
        "M001",
        r"The experiment wpbc \(id 1\) was deleted .* --repair` restores it",
    ),
    "another experiment under its name": (_another_experiment, "M001", "The experiment old .* was deleted in MLflow"),
    "registered model deleted": (lambda at: at.client.delete_registered_model(MODEL), "M002", None),
    "registered model and files of records deleted": (
        lambda at: (at.client.delete_registered_model(MODEL), shutil.rmtree("mlruns/moves")),
        "M002",
        None,
    ),
    "registered model and receipt deleted": (
        lambda at: (at.client.delete_registered_model(MODEL), Workspace(COHORT).published.unlink()),
        "M002",
        None,
    ),
    "registered model and experiment deleted": (
        lambda at: (at.client.delete_registered_model(MODEL), at.client.delete_experiment(at.experiment)),
        "M002",
        "The experiment wpbc .* was deleted in MLflow",
    ),
    "registered model and champion's run deleted": (
        lambda at: (at.client.delete_run(at.child("2")), at.client.delete_registered_model(MODEL)),
        "M002",
        "and with it the runs that made it. Nothing was made.* --repair` restores them",
    ),
    "registered model renamed": (
        lambda at: at.client.rename_registered_model(MODEL, "mine"),
        "M003",
        "relapse-wpbc was renamed to mine in MLflow",
    ),
    "champion's version deleted": (lambda at: at.client.delete_model_version(MODEL, "2"), "M007", None),
    "previous champion's version deleted": (lambda at: at.client.delete_model_version(MODEL, "1"), "M007", None),
    "challenger's version deleted": (lambda at: at.client.delete_model_version(MODEL, "3"), "M007", None),
    "every version deleted": (_all_versions, "M007", None),
    "champion's alias deleted": (
        lambda at: at.client.delete_registered_model_alias(MODEL, "champion"),
        "M006",
        "the alias is on none, and by record 2 the champion is version 2",
    ),
    "champion's alias moved": (
        lambda at: at.client.set_registered_model_alias(MODEL, "champion", "1"),
        "M006",
        "the alias is on version 1, and by record 2 the champion is version 2",
    ),
    "previous champion's alias deleted": (
        lambda at: at.client.delete_registered_model_alias(MODEL, "previous"),
        "M006",
        "by record 2 the previous champion is version 1",
    ),
    "champion's run deleted": (
        lambda at: at.client.delete_run(at.child("2")),
        "M008",
        r"Version 2 \(champion\): 1 of the runs behind it was deleted .* --repair` restores it",
    ),
    "champion's pipeline state deleted": (
        lambda at: at.client.delete_run(at.parent("2")),
        "M008",
        r"Version 2 \(champion\): 1 of the runs behind it was deleted",
    ),
    "run of the last state deleted": (
        lambda at: at.client.delete_run(at.parent("3")),
        "M008",
        "was published before, and its run [0-9a-f]{32} was deleted",
    ),
    "champion's logged model deleted": (
        lambda at: _logged_model(at, "2"),
        "M010",
        "the logged model that it was registered from was deleted",
    ),
    "a record's tag deleted": (
        lambda at: at.client.delete_registered_model_tag(MODEL, "relapse.move.0002"),
        "M005",
        "record 2: the registered model does not name it",
    ),
    "a record's tag written over": (
        lambda at: at.client.set_registered_model_tag(MODEL, "relapse.move.0002", "of no form"),
        "M005",
        "record 2: the registered model does not name it",
    ),
    "every record's tag deleted": (
        lambda at: [at.client.delete_registered_model_tag(MODEL, f"relapse.move.000{n}") for n in (1, 2)],
        "M005",
        "record 2: the registered model does not name it",
    ),
}

#: The same, where the register stage has nothing to say: what the champion stands on is whole.
QUIET: dict[str, tuple[Plant, str]] = {
    "files of records deleted": (lambda at: shutil.rmtree("mlruns/moves"), "M005"),
    "a file of a record altered": (lambda at: _rewritten(record_file(at.client, COHORT, 1)), "M005"),
    "an artifact of a record altered": (lambda at: _rewritten(at.artifact("moves/0001.json")), "M005"),
    "an artifact of a record deleted": (lambda at: at.artifact("moves/0002.json").unlink(), "M005"),
    "a version's tag altered": (
        lambda at: at.client.set_model_version_tag(MODEL, "2", "relapse.content", "x"),
        "M012",
    ),
    "receipt deleted": (lambda at: Workspace(COHORT).published.unlink(), "M013"),
    "receipt cut": (lambda at: Workspace(COHORT).published.write_text("{"), "M013"),
    "receipt of another registry": (_receipt_of_another, "M013"),
    "receipt stale": (_stale_receipt, "M013"),
    "a candidate's logged model deleted": (_candidates_model, "M014"),
    "previous champion's run deleted": (lambda at: at.client.delete_run(at.child("1")), "M008"),
    "previous champion's logged model deleted": (lambda at: _logged_model(at, "1"), "M010"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_deleted_in_mlflow_is_named_and_comes_back_with_its_bundle(standing: Standing, case: str) -> None:
    plant, code, message = CASES[case]
    before = _parents(standing.client)
    plant(standing)
    found = faults(standing.client, COHORT)
    assert code in {fault.code for fault in found}, found
    assert all("`" in str(fault) for fault in found), "every fault names its remedy"
    if message is not None:
        with pytest.raises(RegistryError, match=f"(?s){message}"):
            standing.register()
        assert repair(standing.client, machinery(), COHORT)
    standing.register()
    _whole(standing)
    assert _parents(standing.client) == before, "nothing was published twice"


@pytest.mark.parametrize("case", ["registered model deleted", "every version deleted"])
def test_repair_alone_brings_champions_back(standing: Standing, case: str) -> None:
    plant, _, _ = CASES[case]
    plant(standing)
    repair(standing.client, machinery(), COHORT)
    champion = champion_version(standing.client, COHORT)
    assert champion is not None
    assert digest_of(champion) == standing.bundle
    assert repair(standing.client, machinery(), COHORT) == []


@pytest.mark.parametrize("case", QUIET)
def test_what_does_not_touch_the_champion_is_found_and_the_pipeline_goes_on(standing: Standing, case: str) -> None:
    plant, code = QUIET[case]
    plant(standing)
    assert code in {fault.code for fault in faults(standing.client, COHORT)}
    standing.register()
    repair(standing.client, machinery(), COHORT)
    standing.register()
    _whole(standing)


#: What cannot be brought back from what is there: the code, and what the register stage says.
LOST: dict[str, tuple[Plant, str, str]] = {
    "champion's runs removed for good": (
        lambda at: _remove_state(at, "2"),
        "M009",
        "a run behind it was removed from MLflow for good.*`relapse registry rollback",
    ),
    "registered model and champion's runs removed for good": (
        lambda at: (_remove_state(at, "2"), at.client.delete_registered_model(MODEL)),
        "M002",
        "cannot be brought back: the runs of version 2 are no more in MLflow. Nothing was made",
    ),
    "a model of other hands under its name": (_elsewhere, "M004", "it was made by other hands. Rename or delete it"),
    "registered model and last record deleted": (
        lambda at: (
            at.client.delete_registered_model(MODEL),
            record_file(at.client, COHORT, 2).unlink(),
            at.artifact("moves/0002.json").unlink(),
        ),
        "M005",
        "record 2, which the receipt names, is nowhere to be found",
    ),
    "every artifact deleted": (
        lambda at: (shutil.rmtree("mlruns/artifacts"), at.client.delete_registered_model(MODEL)),
        "M002",
        "cannot be brought back: ",
    ),
}


@pytest.mark.parametrize("case", LOST)
def test_what_is_lost_is_refused_with_a_remedy_and_nothing_is_half_done(standing: Standing, case: str) -> None:
    plant, code, message = LOST[case]
    plant(standing)
    before, models = _parents(standing.client), _models(standing.client)
    found = faults(standing.client, COHORT)
    assert code in {fault.code for fault in found}, found
    with pytest.raises(RegistryError, match=f"(?s){message}"):
        standing.register()
    assert (_parents(standing.client), _models(standing.client)) == (before, models)


def _models(client: MlflowClient) -> list[tuple[str, dict[str, str]]]:
    return [(model.name, model.aliases) for model in client.search_registered_models()]


def test_a_model_of_other_hands_gives_way_to_ours(standing: Standing) -> None:
    _elsewhere(standing)
    with pytest.raises(RegistryError, match="made by other hands"):
        repair(standing.client, machinery(), COHORT)
    standing.client.rename_registered_model(MODEL, "theirs")
    standing.register()
    _whole(standing)


def test_one_can_go_back_from_a_champion_that_is_lost(standing: Standing) -> None:
    _remove_state(standing, "2")
    done = rollback(standing.client, machinery(), COHORT)
    assert (done.from_, done.to.version) == (history(standing.client, COHORT)[1].to, "1")
    standing.register()
    assert json.loads(Workspace(COHORT).decision.read_text())["champion"]["version"] == "1"
    # The record of the lost champion's promotion was held by its run.
    assert [fault.code for fault in faults(standing.client, COHORT)] == ["M005"]
    repair(standing.client, machinery(), COHORT)
    assert faults(standing.client, COHORT) == []


def test_marks_of_validations_come_back_with_their_version(standing: Standing) -> None:
    client, mark = standing.client, "relapse.validated.elsewhere"
    tags = {PARENT: standing.parent("2"), VALIDATES: f"{MODEL}/2", RESULT: "ROC AUC 0.700"}
    run = client.create_run(standing.experiment, tags=tags)
    client.log_param(run.info.run_id, "cohort", "elsewhere")
    client.set_terminated(run.info.run_id)
    client.set_model_version_tag(MODEL, "2", mark, "ROC AUC 0.700")
    (before,) = validations_of(client, client.get_model_version(MODEL, "2"))
    assert (before.cohort, before.result, before.run) == ("elsewhere", "ROC AUC 0.700", run.info.run_id)
    client.delete_registered_model(MODEL)
    standing.register()
    assert validations_of(client, client.get_model_version(MODEL, "2")) == (before,)
    _whole(standing)


def test_a_state_removed_for_good_is_published_anew(standing: Standing) -> None:
    _remove_state(standing, "3")
    standing.client.delete_model_version(MODEL, "3")
    standing.register()
    assert json.loads(Workspace(COHORT).decision.read_text())["challenger_version"] == "4"
    _whole(standing)


def test_a_registry_that_lost_its_database_is_not_begun_anew_in_silence(
    standing: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The project's own address, so that its records and receipts are meant; another file, so that nothing is in it.
    monkeypatch.setattr("relapse.tracking.client.own_registry", lambda root: f"sqlite:///{Path('lost.db').resolve()}")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{Path('lost.db').resolve()}")
    with pytest.raises(RegistryError, match="cannot be brought back: the runs of version 2 are no more in MLflow"):
        standing.register()
    assert connect(machinery()).search_registered_models() == []


def test_another_registry_has_records_of_its_own(standing: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    before = record_file(standing.client, COHORT, 1).read_text()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{Path('other.db').resolve()}")
    monkeypatch.setenv("RELAPSE_PROMOTE", "now")
    standing.register()
    other = connect(machinery())
    assert [move.to.version for move in history(other, COHORT)] == ["1"]
    assert record_file(standing.client, COHORT, 1).read_text() == before
    assert faults(other, COHORT) == []
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    connect(machinery())
    assert {fault.code for fault in faults(standing.client, COHORT)} == {"M013"}


def test_a_renamed_experiment_is_used_under_its_new_name(standing: Standing) -> None:
    before = _parents(standing.client)
    standing.client.rename_experiment(standing.experiment, "ours")
    standing.register()
    _whole(standing)
    assert _parents(standing.client) == before


def test_every_code_of_a_fault_stands_in_the_documentation() -> None:
    codes = {code for path in (ROOT / "src/relapse/tracking").rglob("*.py") for code in CODE.findall(path.read_text())}
    described = set(re.findall(r"^\| (M\d{3}) \|", (ROOT / "docs/promotion.md").read_text(), re.MULTILINE))
    assert codes == described
    cases = {case[1] for table in (CASES, QUIET, LOST) for case in table.values()}
    assert codes - cases <= {"M011"}
