"""What is set from outside: ``params.yaml`` for the science, environment variables for the machinery, and all paths."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from relapse.declarations import Declared, parse, read_yaml
from relapse.errors import DeclarationError, ServingError

#: Fewest characters of a token or key.
SECRET = 16

#: No library may report to its makers, nor draw bars of its own; set before any of them is imported.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "BENTOML_DO_NOT_TRACK": "True",
    "GX_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
for _name, _value in _QUIET.items():
    os.environ.setdefault(_name, _value)


#: Name of the summary in a folder of explanations.
EXPLANATION = "explanation.json"


class SplitParams(Declared):
    """Outer folds, drawn ``repeats`` times."""

    folds: Annotated[int, Field(ge=2, le=20)]
    repeats: Annotated[int, Field(ge=1, le=100)]


class TrainParams(Declared):
    """The tuning inside each outer fold: ``trials`` searched over ``inner_folds``.

    ``seconds`` is a net for one candidate on one cohort, shared evenly by its folds: no trial starts after a fold has
    used up its share, and at least one is finished. A search that it ends hangs on the machine's speed; the training
    record says so.
    """

    inner_folds: Annotated[int, Field(ge=2, le=10)]
    trials: Annotated[int, Field(ge=1, le=10_000)]
    seconds: Annotated[float, Field(gt=0)] | None = None


class EvaluateParams(Declared):
    """Bootstrap resamples of patients behind each interval."""

    resamples: Annotated[int, Field(ge=100, le=100_000)]


class AuditParams(Declared):
    """The leakage audit: ``candidates`` under each protocol, ``draws`` hyperparameters to choose from in each."""

    candidates: Annotated[tuple[str, ...], Field(min_length=1)]
    folds: Annotated[int, Field(ge=2, le=20)]
    repeats: Annotated[int, Field(ge=1, le=100)]
    inner_folds: Annotated[int, Field(ge=2, le=10)]
    draws: Annotated[int, Field(ge=1, le=1000)]


class ExplainParams(Declared):
    """Explanations: artificial patients to compare with, shuffles of each feature, resamples behind each interval.

    Features whose ranks correlate by at least ``correlated`` are also shuffled together.
    """

    background: Annotated[int, Field(ge=1, le=200)]
    shuffles: Annotated[int, Field(ge=1, le=1000)]
    resamples: Annotated[int, Field(ge=100, le=100_000)]
    correlated: Annotated[float, Field(gt=0, le=1)]


Bounds = tuple[float, float]


def _rising(value: Bounds) -> Bounds:
    if not 0 < value[0] < value[1]:
        raise ValueError(f"[{value[0]:g}, {value[1]:g}] is no range: two positive numbers, the lower one first.")
    return value


class CalibrationBounds(Declared):
    """Where the intervals of the calibration slope and of observed over expected have to reach into."""

    slope: Annotated[Bounds, AfterValidator(_rising)]
    observed_expected: Annotated[Bounds, AfterValidator(_rising)]


class RegisterParams(Declared):
    """The promotion policy: see :mod:`relapse.promotion.rules` for what each threshold is held against."""

    choice: Literal["simplest", "best"]
    margin: Annotated[float, Field(ge=0, le=0.5)]
    significance: Annotated[float, Field(gt=0, lt=0.5)]
    calibration: CalibrationBounds
    net_benefit: Annotated[Bounds, AfterValidator(_rising)]
    subgroup_floor: Annotated[float, Field(ge=0, le=1)]
    events_per_parameter: Annotated[float, Field(gt=0)]


class Params(Declared):
    """``params.yaml`` with the chosen budget put in: one section a stage, what the stages run over, and the seed."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    budget: str
    cohorts: Annotated[tuple[str, ...], Field(min_length=1)]
    candidates: Annotated[tuple[str, ...], Field(min_length=1)]
    split: SplitParams
    train: TrainParams
    evaluate: EvaluateParams
    audit: AuditParams
    explain: ExplainParams
    register_: Annotated[RegisterParams, Field(alias="register")]

    @model_validator(mode="after")
    def _reference_always(self) -> "Params":
        if "reference" not in self.candidates:
            raise ValueError("candidates must hold 'reference': the clinical model that every other one has to beat.")
        return self


def read_params(path: Path = Path("params.yaml")) -> Params:
    """Read ``params.yaml`` and put the sections of its chosen budget in their places; every budget is checked.

    Raises
    ------
    DeclarationError
        With key, value and what is allowed.
    """
    content = read_yaml(path)
    budgets, chosen = content.pop("budgets", None), content.get("budget")
    if not isinstance(budgets, dict) or not all(isinstance(item, dict) for item in budgets.values()):
        raise DeclarationError(
            f"{path}: budgets: expected names, each with sections split, train, evaluate, audit, explain."
        )
    if chosen not in budgets:
        raise DeclarationError(f"{path}: budget: {chosen!r} is none of {', '.join(budgets)}.")
    checked = {name: parse(Params, content | sections, origin=path) for name, sections in budgets.items()}
    return checked[chosen]


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where each stage of a cohort writes, below one results folder: ``results/<stage>/<cohort>/…``.

    ``dvc.yaml`` names the same paths because DVC has to know them; a test holds the two against each other.
    """

    cohort: str
    root: Path = Path()

    def of(self, stage: str) -> Path:
        """The folder of a stage."""
        return self.root / "results" / stage / self.cohort

    @property
    def declaration(self) -> Path:
        """The cohort's YAML file."""
        return self.root / "data" / "cohorts" / f"{self.cohort}.yaml"

    @property
    def table(self) -> Path:
        """The canonical table."""
        return self.of("ingest") / "table.parquet"

    @property
    def flow(self) -> Path:
        """The patient flow: rows read, excluded and why, kept."""
        return self.of("ingest") / "flow.json"

    @property
    def gate(self) -> Path:
        """What the gate found, rule by rule."""
        return self.of("gate") / "gate.json"

    @property
    def data_docs(self) -> Path:
        """Great Expectations' Data Docs."""
        return self.of("gate") / "docs"

    @property
    def table_one(self) -> Path:
        """Table 1: the cohort overall and by outcome."""
        return self.of("describe") / "table_one.json"

    @property
    def description(self) -> Path:
        """Folder of the frames that descriptive figures are drawn from, one CSV a figure."""
        return self.of("describe") / "plots"

    @property
    def description_figures(self) -> Path:
        """Folder of the descriptive figures, each as SVG and PNG."""
        return self.of("describe") / "figures"

    @property
    def folds(self) -> Path:
        """Which row stands in which outer test fold."""
        return self.of("split") / "folds.parquet"

    def trained(self, candidate: str) -> Path:
        """The folder of one trained candidate: predictions, trials, training record, model."""
        return self.of("train") / candidate

    def predictions(self, candidate: str) -> Path:
        """A candidate's out-of-fold predictions."""
        return self.trained(candidate) / "predictions.parquet"

    def trials(self, candidate: str) -> Path:
        """Every Optuna trial of a candidate."""
        return self.trained(candidate) / "trials.parquet"

    def record(self, candidate: str) -> Path:
        """What was run to train a candidate."""
        return self.trained(candidate) / "record.json"

    def succeeded(self, candidates: Iterable[str]) -> list[str]:
        """Those of ``candidates`` that have predictions: one whose every trial failed has a record that says so."""
        return [name for name in candidates if self.predictions(name).is_file() or not self.record(name).is_file()]

    def model(self, candidate: str) -> Path:
        """A candidate fitted on all rows."""
        return self.trained(candidate) / "model.skops"

    def fold_model(self, candidate: str, fold: int) -> Path:
        """A candidate fitted without the rows of one outer fold of the first repeat."""
        return self.trained(candidate) / "folds" / f"{fold}.skops"

    def explained(self, candidate: str) -> Path:
        """Folder of a candidate's explanations: tables, and figures with the frames they are drawn from."""
        return self.of("explain") / candidate

    def explanation(self, candidate: str) -> Path:
        """The summary of a candidate's explanations."""
        return self.explained(candidate) / EXPLANATION

    @property
    def audit(self) -> Path:
        """What the leakage audit found."""
        return self.of("audit") / "audit.json"

    @property
    def optimism(self) -> Path:
        """The table that the audit's figure is drawn from; the figure stands beside it."""
        return self.of("audit") / "optimism.csv"

    @property
    def metrics(self) -> Path:
        """Folder of the headline numbers for ``dvc metrics``, one JSON file a candidate."""
        return self.of("evaluate") / "metrics"

    @property
    def evidence(self) -> Path:
        """All results of evaluation."""
        return self.of("evaluate") / "evidence.json"

    @property
    def curves(self) -> Path:
        """Folder of the tables that figures are drawn from, one CSV a figure."""
        return self.of("evaluate") / "plots"

    @property
    def figures(self) -> Path:
        """Folder of the figures, each as SVG and PNG."""
        return self.of("evaluate") / "figures"

    @property
    def decision(self) -> Path:
        """Promoted or kept, and why."""
        return self.of("register") / "decision.json"

    @property
    def published(self) -> Path:
        """What was published to MLflow; it lives beside MLflow's own files, so that losing those publishes again."""
        return self.root / "mlruns" / "published" / f"{self.cohort}.json"

    @property
    def bundle(self) -> Path:
        """The served artefact."""
        return self.of("package") / "bundle"

    @property
    def bento(self) -> Path:
        """The Bento built from the bundle, exported as one file."""
        return self.of("package") / f"relapse-{self.cohort}.bento"

    @property
    def report(self) -> Path:
        """Folder of the report, the model card and the TRIPOD+AI checklist."""
        return self.of("report")


@dataclass(frozen=True, slots=True)
class Machinery:
    """Where and how the work is done; nothing here may change a result."""

    workers: int
    tracking_uri: str
    artifact_root: str | None
    backend: Literal["loky", "threading", "dask", "ray"] | str
    storage: str | None = None
    promotes: bool = True


def own_registry(root: Path = Path()) -> str:
    """The address of MLflow's database inside the project itself."""
    return f"sqlite:///{(root / 'mlruns' / 'mlflow.db').resolve()}"


def is_url(storage: str) -> bool:
    """Whether trials are kept in a database, not in a folder."""
    return "://" in storage


def machinery(root: Path = Path()) -> Machinery:
    """Read the settings of this machine from the environment.

    ``RELAPSE_WORKERS``
        Parallel workers; every core by default. The same results come out for any number.
    ``MLFLOW_TRACKING_URI``
        MLflow's database or server; the SQLite file ``mlruns/mlflow.db`` by default.
    ``RELAPSE_ARTIFACT_ROOT``
        Where MLflow keeps artifacts; ``mlruns/artifacts`` by default, the server's choice for an http(s) address.
    ``RELAPSE_BACKEND``
        The joblib backend: ``loky`` by default.
    ``RELAPSE_OPTUNA_STORAGE``
        Where Optuna keeps finished trials, so that a run that was killed goes on from them: a folder of journal files,
        ``.cache/optuna`` by default, or the URL of a database that several machines reach.
    ``RELAPSE_PROMOTE``
        ``later`` registers a challenger and writes the decision, and leaves it to ``relapse registry promote`` to carry
        it out; ``now`` by default.
    """
    promote = os.environ.get("RELAPSE_PROMOTE") or "now"
    if promote not in ("now", "later"):
        raise DeclarationError(f"RELAPSE_PROMOTE={promote}: allowed are now and later.")
    tracking = os.environ.get("MLFLOW_TRACKING_URI") or own_registry(root)
    remote = tracking.startswith("http")
    storage = os.environ.get("RELAPSE_OPTUNA_STORAGE") or str(root / ".cache" / "optuna")
    artifacts = os.environ.get("RELAPSE_ARTIFACT_ROOT") or (
        None if remote else (root / "mlruns" / "artifacts").resolve().as_uri()
    )
    return Machinery(
        workers=int(os.environ.get("RELAPSE_WORKERS") or os.cpu_count() or 1),
        tracking_uri=tracking,
        artifact_root=artifacts,
        backend=os.environ.get("RELAPSE_BACKEND") or "loky",
        # Workers need not stand in the folder that this process is in.
        storage=storage if is_url(storage) else str(Path(storage).resolve()),
        promotes=promote == "now",
    )


@dataclass(frozen=True, slots=True)
class Serving:
    """How the service is guarded; nothing here may change a prediction."""

    token: str | None
    audit_log: Path | None
    audit_key: bytes | None
    seconds: float


def serving() -> Serving:
    """Read the settings of the service from the environment.

    ``RELAPSE_TOKEN``
        Clients send it as ``Authorization: Bearer …``; needed where the service listens beyond this machine.
    ``RELAPSE_AUDIT_LOG``, ``RELAPSE_AUDIT_KEY``
        File that every prediction is recorded in, and the key of its digests. Both or none.
    ``RELAPSE_TIMEOUT``
        Seconds that a request may take; 10 by default.

    Raises
    ------
    ServingError
        A setting is too weak, lacks its other half, or is no number.
    """
    token, key = os.environ.get("RELAPSE_TOKEN") or None, os.environ.get("RELAPSE_AUDIT_KEY") or None
    log, seconds = os.environ.get("RELAPSE_AUDIT_LOG") or None, os.environ.get("RELAPSE_TIMEOUT") or "10"
    for name, secret in (("RELAPSE_TOKEN", token), ("RELAPSE_AUDIT_KEY", key)):
        if secret is not None and not (len(secret) >= SECRET and secret.isascii() and secret.isprintable()):
            raise ServingError(
                f"{name}: at least {SECRET} printable ASCII characters are needed. Make one with: openssl rand -hex 32"
            )
    if (log is None) != (key is None):
        raise ServingError("RELAPSE_AUDIT_LOG and RELAPSE_AUDIT_KEY belong together: set both, or none.")
    try:
        limit = float(seconds)
    except ValueError:
        limit = 0.0
    if not 0 < limit <= 600:
        raise ServingError("RELAPSE_TIMEOUT: expected seconds, more than 0 and at most 600.")
    return Serving(token, Path(log) if log else None, key.encode() if key else None, limit)
