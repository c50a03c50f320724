"""`relapse trace` follows a model of a real small run back to its table's file, and sees what was altered since."""

import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relapse.bundle.manifest import MANIFEST, SEAL, seal
from relapse.ground.files import sha256_of_file
from relapse.ground.workspace import Workspace
from relapse.machinery import machinery
from relapse.tracking.client import connect
from relapse.tracking.registry.models import fetch_version, version_called
from tests.drafting.making import clinic, text
from tests.drafting.running import run
from tests.project import Project

pytestmark = pytest.mark.slow

COHORT, MODEL = "mine", "relapse-mine/1"
DECLARATION = """
name: mine
extends: theirs
title: A drawn clinic
features: {chemo: null}
"""
BASE = """
name: theirs
title: A drawn clinic, all of it
source: {csv: data/raw/mine.csv}
licence: none
citation: none
patient: patient_id
endpoint: {kind: survival, event: relapse, values: {no: 0, yes: 1}, time: rfs_months, unit: month, horizons: [3 y, 5 y]}
features:
  size_mm: {type: continuous, unit: mm, range: [1, 150]}
  nodes: {type: count, range: [0, 40]}
  chemo: {type: nominal, levels: [no, yes], known: after}
reference: [size_mm]
"""

Traced = dict[str, list[dict[str, Any]]]


def _git(root: Path, *words: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project under git and DVC, its own table run as far as the registry."""
    project = Project.copy(tmp_path_factory.mktemp("traced"), cohorts=[COHORT], candidates=["reference", "linear"])
    root = project.root
    (root / "data" / "raw" / "mine.csv").write_text(text(clinic()))
    (root / "data" / "cohorts" / "mine.yaml").write_text(DECLARATION)
    (root / "data" / "cohorts" / "theirs.yaml").write_text(BASE)
    (root / ".gitignore").write_text("results\nmlruns\n.cache\n__pycache__\n")
    _git(root, "init", "--quiet")
    for command in (("init", "--quiet"), ("add", "--quiet", "data/raw/mine.csv")):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=root, check=True, env=project.environment)
    _git(root, "add", ".")
    _git(root, "commit", "--quiet", "--message", "as it was trained")
    project.evaluated(COHORT)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        project.stage("register", cohort=COHORT)
        fetch_version(version_called(connect(machinery()), COHORT, "1"), root / "kept")
    return root


@pytest.fixture
def project(registered: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(registered)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("BENTOML_HOME", raising=False)
    return registered


@pytest.fixture
def traced(capsys: pytest.CaptureFixture[str]) -> Callable[..., Traced]:
    """What the command tells as JSON, its exit status being as expected."""

    def follow(model: str = MODEL, status: int = 0) -> Traced:
        capsys.readouterr()
        assert run("trace", model, "--json") == status
        told = json.loads(capsys.readouterr().out)
        assert bool(told["differing"]) == bool(status)
        return dict(told["steps"])

    return follow


@pytest.fixture
def altered(project: Path) -> Any:
    """Alters a file of the project, and puts it back in the end."""
    before: dict[Path, bytes] = {}

    def alter(name: str, old: str, new: str) -> None:
        path = project / name
        before.setdefault(path, path.read_bytes())
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    yield alter
    for path, content in before.items():
        path.write_bytes(content)


def _marks(step: list[dict[str, Any]]) -> dict[str, str | None]:
    return {fact["what"]: fact["now"] for fact in step}


def test_everything_is_as_recorded_from_model_to_source(project: Path, traced: Callable[..., Traced]) -> None:
    steps, at = traced(), Workspace(COHORT)
    assert list(steps) == [
        "Model",
        "Decision",
        "MLflow",
        "Results",
        "Settings",
        "Data",
        "Declaration",
        "Code",
        "Packages",
    ]
    for title in ("Results", "Settings", "Data", "Declaration", "Packages"):
        assert set(_marks(steps[title]).values()) == {"as recorded"}, title
    assert {fact["recorded"] for fact in steps["Results"]} == {
        f"sha256:{sha256_of_file(path)}" for path in (at.table, at.evidence, at.predictions(_candidate()))
    }
    (source, followed) = steps["Data"]
    assert source["recorded"] == f"sha256:{sha256_of_file(Path('data/raw/mine.csv'))}"
    assert followed["what"] == "DVC (data/raw/mine.csv.dvc)"
    assert [fact["what"] for fact in steps["Declaration"]] == ["data/cohorts/mine.yaml", "data/cohorts/theirs.yaml"]
    head = _git(project, "rev-parse", "HEAD")
    assert head[:7] in steps["Declaration"][0]["note"]
    assert (steps["Code"][0]["recorded"], steps["Code"][0]["now"], steps["Code"][1]["recorded"]) == (
        head,
        "as recorded",
        "none",
    )
    assert {"seed", "budget"} < set(_marks(steps["Settings"]))
    assert _marks(steps["MLflow"])["content hash"] == "as recorded"
    decision = json.loads(at.decision.read_text())
    assert steps["Decision"][0]["recorded"] == decision["summary"]
    moved = [fact for fact in steps["Decision"] if fact["what"].startswith("promote")]
    assert bool(moved) == decision["promoted"]
    assert all(fact["now"] == "as recorded" for fact in moved)


def _candidate() -> str:
    return str(json.loads(Workspace(COHORT).decision.read_text())["challenger"])


def test_people_read_a_line_a_fact_with_its_mark(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("trace", f"models:/{MODEL}") == 0
    said = capsys.readouterr().out
    assert said.startswith("relapse-mine version 1: ")
    assert "  as recorded  data/raw/mine.csv: sha256:" in said
    assert "Not as recorded" not in said


@pytest.mark.parametrize(
    ("name", "old", "new", "title", "what"),
    [
        ("data/raw/mine.csv", "yes", "no", "Data", ["data/raw/mine.csv", "DVC (data/raw/mine.csv.dvc)"]),
        ("data/cohorts/theirs.yaml", "range: [0, 40]", "range: [0, 41]", "Declaration", ["data/cohorts/theirs.yaml"]),
        ("data/cohorts/mine.yaml", "A drawn", "Another", "Declaration", ["data/cohorts/mine.yaml"]),
        ("params.yaml", "seed: 20260713", "seed: 1", "Settings", ["seed"]),
        ("params.yaml", "subgroup_floor: 0.55", "subgroup_floor: 0.5", "Settings", ["params"]),
        ("results/evaluate/mine/evidence.json", '"put_forward"', '"put_backward"', "Results", ["evidence"]),
    ],
)
def test_what_was_altered_since_is_told_and_nothing_else(
    name: str, old: str, new: str, title: str, what: list[str], altered: Any, traced: Callable[..., Traced]
) -> None:
    altered(name, old, new)
    steps = traced(status=1)
    assert {
        (step, fact["what"]) for step, facts in steps.items() for fact in facts if fact["now"] == "differs now"
    } == {(title, one) for one in what}


def test_an_altered_source_is_named_in_the_last_line(altered: Any, capsys: pytest.CaptureFixture[str]) -> None:
    altered("data/raw/mine.csv", "yes", "no")
    assert run("trace", MODEL) == 1
    said = capsys.readouterr().out
    assert "  differs now  data/raw/mine.csv: sha256:" in said
    assert said.splitlines()[-1] == "Not as recorded: Data: data/raw/mine.csv, Data: DVC (data/raw/mine.csv.dvc)"


def test_a_setting_that_changed_is_told_with_both_values(altered: Any, traced: Callable[..., Traced]) -> None:
    altered("params.yaml", "subgroup_floor: 0.55", "subgroup_floor: 0.5")
    (params,) = (fact for fact in traced(status=1)["Settings"] if fact["what"] == "params")
    assert params["note"] == "register.subgroup_floor 0.55, now 0.5"


def test_a_bundle_elsewhere_tells_what_it_recorded_and_makes_nothing_there(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, traced: Callable[..., Traced]
) -> None:
    shutil.copytree(project / "kept", tmp_path / "kept")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    steps = traced("../kept")
    for title in ("MLflow", "Results", "Settings", "Data", "Declaration"):
        assert set(_marks(steps[title]).values()) == {"not here"}, title
    assert (steps["Code"][0]["now"], steps["Code"][0]["note"]) == ("not here", "no git repository here")
    assert not list(Path().iterdir())


def test_a_bundle_of_the_project_finds_its_version_and_a_source_that_is_gone_says_how_it_comes_back(
    project: Path, traced: Callable[..., Traced]
) -> None:
    path = project / "data" / "raw" / "mine.csv"
    path.rename(path.with_suffix(".away"))
    try:
        steps = traced("kept")
    finally:
        path.with_suffix(".away").rename(path)
    assert any(fact["recorded"].startswith("version 1") for fact in steps["Decision"])
    assert [fact["now"] for fact in steps["Data"]] == ["not here", "not here"]
    assert "no such file" in steps["Data"][0]["note"]
    assert "dvc pull data/raw/mine.csv.dvc" in steps["Data"][1]["note"]


def test_a_bento_is_followed_by_its_tag_and_by_its_file(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, traced: Callable[..., Traced]
) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "home"))
    inside = tmp_path / "home" / "bentos" / "relapse_mine" / "0123456789ab" / "src" / "bundle"
    shutil.copytree(project / "kept", inside)
    with tarfile.open(tmp_path / "relapse-mine.bento", "w:xz") as archive:
        archive.add(inside.parents[1], arcname=".")
    by_tag, by_file = traced("relapse_mine:0123456789ab"), traced(str(tmp_path / "relapse-mine.bento"))
    assert by_tag == by_file == traced("kept")


def test_an_altered_bundle_is_not_followed(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(project / "kept", tmp_path / "kept")
    path = tmp_path / "kept" / "cohort.yaml"
    path.write_text(path.read_text() + "# \n")
    assert run("trace", str(tmp_path / "kept")) == 1
    assert "altered since the bundle was written" in capsys.readouterr().err


def test_a_bundle_from_before_origins_were_recorded_says_so(
    project: Path, tmp_path: Path, traced: Callable[..., Traced]
) -> None:
    shutil.copytree(project / "kept", tmp_path / "kept")
    path = tmp_path / "kept" / MANIFEST
    path.write_text(json.dumps({key: item for key, item in json.loads(path.read_text()).items() if key != "origin"}))
    (tmp_path / "kept" / SEAL).write_text(seal(sha256_of_file(path)))
    # It is another bundle than the record of its promotion names.
    promoted = json.loads(Workspace(COHORT).decision.read_text())["promoted"]
    steps = traced(str(tmp_path / "kept"), status=int(promoted))
    for title in ("Settings", "Data", "Declaration"):
        assert [fact["recorded"] for fact in steps[title]] == ["not recorded: the bundle is from before it was"]
    assert steps["Results"][0]["now"] == "as recorded"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("relapse-mine/7", "relapse-mine has no version 7"),
        ("relapse-nobody@champion", "relapse-nobody has no version with the alias 'champion'"),
        ("gbsg", "'gbsg' is no model: give relapse-<cohort>@champion"),
    ],
)
def test_what_is_no_model_is_refused(model: str, said: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("trace", model) == 1
    assert said in capsys.readouterr().err


def test_where_there_is_no_registry_none_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run("trace", MODEL) == 1
    assert "there is no registry here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_same_inputs_record_the_same_origin(project: Path) -> None:
    again = Project(project)
    kept = Workspace(COHORT).flow.read_bytes()
    again.stage("ingest", cohort=COHORT)
    assert Workspace(COHORT).flow.read_bytes() == kept
    assert str(project) not in (project / "kept" / MANIFEST).read_text()
