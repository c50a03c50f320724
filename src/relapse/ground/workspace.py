"""Where everything lies that the pipeline reads and writes: every path, once."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: Name of the summary in a folder of explanations.
EXPLANATION = "explanation.json"

#: Name of the table of single rows' Shapley values beside it, which names patients.
SHAPLEY = "shap.parquet"

#: Name of the picture of hazards over time and of its frame, beside :attr:`Workspace.regression`.
HAZARDS = "hazards_over_time"

#: The digest of each file that training imports, whatever the cohort.
TRAINING_LIBRARY = Path("results") / "library" / "train.json"

#: Name of the folder of pictures beside a canonical table.
PICTURES = "pictures"


def project_of(picture: Path) -> Path:
    """The project that a picture of :attr:`Workspace.pictures` belongs to, in whatever folder a worker stands.

    It lies at ``results/ingest/<cohort>/pictures/<two digits>/<address>.npz``.
    """
    return picture.parents[5]


def kept_maps(project: Path) -> Path:
    """Where a project keeps what encoders made of pictures, from run to run."""
    return project / ".cache" / "maps"


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
        """The cohort's YAML file, as people write it; past ingest, :attr:`resolved` says all of it."""
        return self.root / "data" / "cohorts" / f"{self.cohort}.yaml"

    @property
    def accepted(self) -> Path:
        """What the version of the table looked like that a person accepted last; not there before that."""
        return self.root / "data" / "accepted" / f"{self.cohort}.json"

    @property
    def resolved(self) -> Path:
        """The declaration as ingest found it to be: nothing extended, and every column of a wide group a feature."""
        return self.of("ingest") / "cohort.yaml"

    @property
    def table(self) -> Path:
        """The canonical table."""
        return self.of("ingest") / "table.parquet"

    @property
    def film_reader(self) -> Path:
        """The reader of films as ingest found it, where the cohort has films; empty elsewhere."""
        return self.of("ingest") / "film_reader"

    @property
    def flow(self) -> Path:
        """The patient flow: rows read, excluded and why, kept."""
        return self.of("ingest") / "flow.json"

    @property
    def pictures(self) -> Path:
        """Folder of the patients' pictures, where the cohort has images."""
        return self.of("ingest") / PICTURES

    @property
    def kept_pictures(self) -> Path:
        """Where pictures are kept from run to run; no result, since a picture's address says how it is made."""
        return self.root / ".cache" / PICTURES

    @property
    def contact_sheets(self) -> Path:
        """Folder of the contact sheets: every picture with its mask's outline, for a person to look through."""
        return self.of("ingest") / "contact_sheets"

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

    def shapley_values(self, candidate: str) -> Path:
        """A candidate's Shapley values, row by row; :mod:`relapse.explanation.saved` reads them."""
        return self.explained(candidate) / SHAPLEY

    @property
    def regression(self) -> Path:
        """The reference and penalised models as regressions; a figure and its frame lie beside it."""
        return self.of("explain") / "regression.json"

    @property
    def audit(self) -> Path:
        """What the leakage audit found."""
        return self.of("audit") / "audit.json"

    @property
    def optimism(self) -> Path:
        """The table that the audit's figure is drawn from; the figure stands beside it."""
        return self.of("audit") / "optimism.csv"

    @property
    def added_value(self) -> Path:
        """What each block adds, and what that rests on."""
        return self.of("added_value") / "added_value.json"

    @property
    def added_value_metrics(self) -> Path:
        """The headline numbers of what blocks add, for ``dvc metrics``."""
        return self.of("added_value") / "metrics.json"

    @property
    def added_value_figures(self) -> Path:
        """Folder of the forest plots of what blocks add, each as SVG and PNG, with the frame it is drawn from."""
        return self.of("added_value") / "figures"

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
    def no_champion(self) -> Path:
        """Says that there is no champion, where there would be a bundle otherwise."""
        return self.of("package") / "no-champion.txt"

    @property
    def bento(self) -> Path:
        """The Bento built from the bundle, exported as one file."""
        return self.of("package") / f"relapse-{self.cohort}.bento"

    @property
    def plots(self) -> Path:
        """Folder of what ``dvc plots`` shows."""
        return self.of("plots")

    @property
    def report(self) -> Path:
        """Folder of the report, the model card and the TRIPOD+AI checklist."""
        return self.of("report")
