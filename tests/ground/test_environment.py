"""Every environment variable stands in one table, is checked before any work, and is documented from there."""

import re
import sys
from pathlib import Path

import pytest

from relapse.ground.environment import VARIABLES, Group, check_environment, markdown_table
from relapse.ground.errors import DeclarationError, RelapseError, ServingError
from relapse.machinery import machinery

ROOT = Path(__file__).resolve().parents[2]

#: Variables of other programs, and those that continuous integration and tests set for themselves.
OTHERS = {"RELAPSE_SHARED", "RELAPSE_REQUIRE_PROGRAMS", "RELAPSE_RETRAIN", "RELAPSE_STORE_KEY_ID", "RELAPSE_STORE_KEY"}


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable.name, raising=False)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RELAPSE_WORKERS", "abc", "RELAPSE_WORKERS=abc: expected a whole number from 1"),
        ("RELAPSE_WORKERS", "0", "RELAPSE_WORKERS=0: expected a whole number from 1"),
        ("RELAPSE_WORKERS", "-1", "expected a whole number from 1"),
        ("RELAPSE_WORKERS", "1.5", "expected a whole number from 1"),
        ("RELAPSE_WORKERS", "٣", "expected a whole number from 1"),
        ("RELAPSE_BACKEND", "nonsense", "RELAPSE_BACKEND=nonsense: allowed are fork, loky, threading and dask"),
        ("RELAPSE_BACKEND", "dask", "RELAPSE_BACKEND=dask: Dask is not installed here"),
        ("RELAPSE_PROMOTE", "soon", "RELAPSE_PROMOTE=soon: allowed are now and later"),
        ("MLFLOW_TRACKING_URI", "mlruns", r"MLFLOW_TRACKING_URI=mlruns: expected an address \(sqlite://"),
        ("MLFLOW_TRACKING_URI", "file:///tmp/x", "expected an address"),
        ("RELAPSE_ARTIFACT_ROOT", "artifacts", "RELAPSE_ARTIFACT_ROOT=artifacts: expected an address .* or an absolute folder"),
        ("RELAPSE_OPTUNA_STORAGE", "ftp://x", r"RELAPSE_OPTUNA_STORAGE=ftp://x: expected an address \(.*\) or a folder"),
        ("RELAPSE_ACTOR", "a\nb", "at most 200 printable characters"),
        ("RELAPSE_WORKER", "2", "RELAPSE_WORKER: nothing reads this variable. Did you mean RELAPSE_WORKERS?"),
        ("RELAPSE_TOKENS", "x", "RELAPSE_TOKENS: nothing reads this variable. Did you mean RELAPSE_TOKEN?"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_one_message_before_any_work(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    if value == "dask":
        monkeypatch.setattr("relapse.ground.environment.find_spec", lambda package: None)
    monkeypatch.setenv(name, value)
    with pytest.raises(DeclarationError, match=message):
        check_environment()


def test_dask_needs_the_address_of_its_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relapse.ground.environment.find_spec", lambda package: package)
    monkeypatch.setenv("RELAPSE_BACKEND", "dask")
    with pytest.raises(DeclarationError, match="set RELAPSE_SCHEDULER"):
        check_environment()
    monkeypatch.setenv("RELAPSE_SCHEDULER", "tcp://127.0.0.1:8786")
    check_environment()


def test_a_secret_is_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        if variable.secret:
            monkeypatch.setenv(variable.name, "tooshort")
            with pytest.raises(ServingError) as caught:
                variable.get()
            assert "tooshort" not in str(caught.value)


def test_what_may_be_set_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("RELAPSE_WORKERS", "3"),
        ("RELAPSE_BACKEND", "threading"),
        ("MLFLOW_TRACKING_URI", "postgresql+psycopg://relapse@db/mlflow"),
        ("RELAPSE_ARTIFACT_ROOT", "s3://bucket/x"),
        ("RELAPSE_OPTUNA_STORAGE", "trials"),
        ("RELAPSE_DATA", "/anything/of/the/user"),
        *((name, "x") for name in OTHERS),
    ):
        monkeypatch.setenv(name, value)
    check_environment()
    found = machinery()
    assert (found.workers, found.backend, found.artifact_root) == (3, "threading", "s3://bucket/x")
    assert found.storage == str(Path("trials").resolve())


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable.name, "")
    check_environment()
    assert machinery().backend == ("fork" if sys.platform == "linux" else "loky")


@pytest.mark.slow
def test_stages_and_commands_refuse_it_first(tmp_path: Path) -> None:
    from tests.project import Project

    project = Project.copy(tmp_path / "project")
    wrong = Project(project.root, {"RELAPSE_WORKERS": "abc"})
    for command in (("python", "pipelines/ingest.py", "--cohort", "gbsg"), ("relapse", "registry", "list")):
        done = wrong.run(*command)
        assert (done.returncode, done.stdout) == (
            2,
            "error: RELAPSE_WORKERS=abc: expected a whole number from 1 to 4096.\n",
        )
    assert not (project.root / "results").exists()


def test_no_other_code_reads_our_variables() -> None:
    reading = re.compile(r"environ(?:\.get|\.setdefault)?[\[(]\s*[\"'](RELAPSE_\w+|MLFLOW_TRACKING_URI)")
    for folder in ("src", "pipelines", "bento"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not reading.findall(path.read_text()), f"{path}: read it by relapse.ground.environment"


def test_every_variable_that_is_named_anywhere_is_known() -> None:
    declared = "".join(path.read_text() for path in (ROOT / "data" / "cohorts").glob("*.yaml"))
    known = {variable.name for variable in VARIABLES} | OTHERS | set(re.findall(r"\$\{(\w+)\}", declared))
    for path in (ROOT / "Makefile", ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "src").rglob("*.py")):
        named = set(re.findall(r"\bRELAPSE_[A-Z_]*[A-Z]\b", path.read_text()))
        assert named <= known, f"{path}: {named - known}"


@pytest.mark.parametrize(("page", "groups"), [("settings.md", ("work", "tracking")), ("serving.md", ("service",))])
def test_the_documentation_shows_the_table(page: str, groups: tuple[Group, ...]) -> None:
    text = (ROOT / "docs" / page).read_text()
    assert markdown_table(*groups) in text, f"docs/{page}: put in this table:\n{markdown_table(*groups)}"


def test_an_error_of_a_setting_is_one_for_the_user() -> None:
    assert issubclass(DeclarationError, RelapseError)
    assert (DeclarationError.exit_status, ServingError.exit_status) == (2, 2)
