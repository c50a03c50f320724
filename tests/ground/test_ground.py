"""The ground: files whole or not at all, parameters checked, predictions tables held to their contract, errors readable."""

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relapse.ground import errors
from relapse.ground.console import progress, readable_errors
from relapse.ground.errors import DeclarationError, GateError, PredictionsError, RelapseError
from relapse.ground.files import read_json, sha256_of_text, write_atomic, write_json
from relapse.machinery import machinery
from relapse.params import read_params
from relapse.predictions import check_pairing, check_predictions, read_predictions

ROOT = Path(__file__).resolve().parents[2]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError("out of disk")

    with pytest.raises(RuntimeError, match="out of disk"):
        write_atomic(path, fail)
    assert read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_json_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": [math.nan, 1.5], "b": (math.nan,)})
    assert read_json(tmp_path / "x.json") == {"a": [None, 1.5], "b": [None]}


def test_a_digest_of_parts_knows_where_they_end() -> None:
    assert sha256_of_text("ab", "c") != sha256_of_text("a", "bc")


def test_the_tree_of_errors_is_the_one_its_module_draws() -> None:
    drawn = errors.__doc__ or ""
    classes = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, RelapseError)]
    for found in classes:
        line = next(line for line in drawn.splitlines() if found.__name__ in line)
        assert f"exit status {found.exit_status}" in line


@pytest.mark.parametrize(("error", "status"), [(GateError("broken"), 1), (DeclarationError("unknown"), 2)])
def test_an_error_for_the_user_is_one_message_and_a_status(
    error: RelapseError, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped, readable_errors():
        raise error
    assert stopped.value.code == status
    assert capsys.readouterr().err == f"error: {error}\n"


def test_progress_passes_everything_on_and_says_a_line_a_quarter(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(iter(range(8)), total=8, label="work")) == list(range(8))
    assert capsys.readouterr().out.splitlines() == ["work: 2/8", "work: 4/8", "work: 6/8", "work: 8/8"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("folds: 5", "folds: 1", r"params\.yaml: split\.folds: .*greater than or equal to 2, found 1"),
        ("budget: default", "budget: huge", r"budget: 'huge' is none of quick, default, publication"),
        ("trials: 3", "trials: 0", r"train\.trials: .*greater than or equal to 1, found 0"),
        ("trials: 25", "trails: 25", r"train\.trails: unknown key"),
        ("candidates: [reference, linear", "candidates: [linear", "candidates must hold 'reference'"),
        ("seed: 20260713", "", "seed: this key is required"),
    ],
)
def test_wrong_parameters_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (ROOT / "params.yaml").read_text()
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(DeclarationError, match=message):
        read_params(path)


def test_the_machinery_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RELAPSE_WORKERS", "MLFLOW_TRACKING_URI", "RELAPSE_ARTIFACT_ROOT", "RELAPSE_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    assert machinery().tracking_uri.startswith("sqlite:////")
    assert machinery().backend == ("fork" if sys.platform == "linux" else "loky")
    monkeypatch.setenv("RELAPSE_WORKERS", "3")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert machinery().workers == 3
    assert machinery().artifact_root is None


def _table(n: int = 20) -> pd.DataFrame:
    event = np.arange(n) % 2
    return pd.DataFrame(
        {
            "row": range(n),
            "patient": [str(i) for i in range(n)],
            "site": "",
            "repeat": 0,
            "fold": np.arange(n) % 5,
            "event": event,
            "score": np.linspace(-1, 1, n),
            "risk": np.linspace(0, 1, n),
        }
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.drop(columns="score"), "column missing: score"),
        (lambda t: t.iloc[:0], "no rows"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "more than once in the same repeat"),
        (lambda t: t.assign(score=t["score"].mask(t["row"] == 3)), "score is missing in 1 rows"),
        (lambda t: t.assign(risk=t["risk"] + 0.5), r"risk is outside \[0, 1\] in 10 rows"),
        (lambda t: t.assign(event=t["event"] * 0.5), "event holds values other than 0 and 1"),
        (lambda t: t.assign(event=1), "all rows have the same outcome"),
    ],
)
def test_a_bad_predictions_table_is_refused(spoil, message: str) -> None:
    check_predictions(_table(), risks=["risk"], timed=False, where="t")
    with pytest.raises(PredictionsError, match=message):
        check_predictions(spoil(_table()), risks=["risk"], timed=False, where="t")


def test_a_negative_time_is_refused() -> None:
    with pytest.raises(PredictionsError, match=r"time is outside \[0, inf\] in 1 rows"):
        check_predictions(_table().assign(time=[-1, *range(19)]), risks=["risk"], timed=True, where="t")


def test_tables_of_other_rows_or_outcomes_do_not_pair() -> None:
    check_pairing({"a": _table(), "b": _table().sample(frac=1, random_state=0)})
    for other in (_table(18), _table().assign(event=1 - _table()["event"])):
        with pytest.raises(PredictionsError, match="a and b do not speak of the same rows and outcomes"):
            check_pairing({"a": _table(), "b": other})


def test_an_absent_table_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(PredictionsError, match="no such file"):
        read_predictions(tmp_path / "x.parquet", risks=["risk"], timed=False)


def test_the_named_budgets_grow(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    sizes = []
    for name in ("quick", "default", "publication"):
        (tmp_path / "params.yaml").write_text(text.replace("budget: default", f"budget: {name}"))
        params = read_params(tmp_path / "params.yaml")
        sizes.append((params.train.trials, params.split.repeats * params.train.inner_folds, params.evaluate.resamples))
    assert sizes == sorted(sizes)
    assert sizes[1][0] >= 25
