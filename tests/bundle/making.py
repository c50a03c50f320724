"""Small models and bundles of the real cohorts, fitted in a second and with fixed hyperparameters."""

from pathlib import Path
from typing import Any

import pandas as pd

from relapse.bundle.fallback import ToFallBackOn, needs_fallback
from relapse.bundle.manifest import Manifest
from relapse.bundle.model_file import dump_model
from relapse.bundle.write import write_bundle
from relapse.candidates.base import outcome
from relapse.candidates.catalogue import MODULES, family
from relapse.candidates.risk_model import Platt, RiskModel
from relapse.cohorts.schema import Cohort
from relapse.documents import Document, Section

ROOT = Path(__file__).resolve().parents[2]

#: Every candidate of every cohort: both heads of all families.
PAIRS = [(cohort, candidate) for cohort in ("gbsg", "wpbc") for candidate in MODULES if not family(candidate).sees]

HASH = "0123456789abcdef" * 4

#: Parts of the patients that a small bundle's refits leave out, one each.
REFITS = 3

CARD = Document("Model card of a test", (Section("Intended use", ("To be tested.",)),))
CHECKLIST = Document("TRIPOD+AI of a test", (Section("Title", ("A test.",)),))


def small_model(cohort: Cohort, table: pd.DataFrame, candidate: str) -> RiskModel:
    """A fitted candidate; binary ones with a recalibration and a threshold."""
    survival = cohort.survival is not None
    params: dict[str, dict[str, Any]] = {
        "reference": {},
        "linear": {"scaling": "yeo-johnson", "l1_ratio": 0.5} | ({"penalty": 0.01} if survival else {"C": 0.1}),
        "forest": {"min_samples_leaf": 15, "max_features": 0.5},
        "svm": {"kernel": "rbf", "gamma": 0.05},
        "catboost": {"iterations": 20, "depth": 2},
        "xgboost": {"n_estimators": 20, "max_depth": 2},
        "mlp": {"members": 2},
        "cnn1d": {"members": 2, "width": 4},
        "densenet121": {},
    }
    head = family(candidate).head(cohort)
    assert head is not None
    fitted = head.build(cohort, params[candidate], 1).fit(table, outcome(table, cohort))
    return RiskModel(fitted) if survival else RiskModel(fitted, Platt(slope=0.8, intercept=-0.5), threshold=0.3)


def small_bundle(
    folder: Path,
    cohort: Cohort,
    table: pd.DataFrame,
    candidate: str,
    *,
    refits: int = REFITS,
    declaration: Path | None = None,
    film_reader: Path | None = None,
    monitored: bool = False,
) -> Manifest:
    """Fit a candidate on ``table``, and again without each of ``refits`` parts of it, and write its bundle.

    A ``monitored`` one holds what served patients are held against, too.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    model, *paths = _files(folder.parent, folder.name, cohort, table, candidate, refits)
    fallback = None
    if needs_fallback(cohort, candidate):
        own, *others = _files(folder.parent, f"{folder.name}-reference", cohort, table, "reference", refits)
        fallback = ToFallBackOn(title="Clinical reference", model=own, risks=[0.2, 0.4, 0.6, 0.8], refits=others)
    return write_bundle(
        folder,
        model=model,
        declaration=declaration or ROOT / "data" / "cohorts" / f"{cohort.name}.yaml",
        table=table,
        candidate=candidate,
        title=family(candidate).title,
        content_hash=HASH,
        table_hash=HASH[::-1],
        git_commit=None,
        metrics=[{"key": "concordance", "label": "Harrell's C", "value": 0.7, "lower": 0.6, "upper": float("nan")}],
        decision={"verdict": "promoted"},
        card=CARD,
        checklist=CHECKLIST,
        risks=[0.1, 0.3, 0.5, 0.7],
        refits=paths,
        fallback=fallback,
        film_reader=film_reader,
        out_of_fold=out_of_fold(cohort, table, candidate) if monitored else None,
    )


def out_of_fold(cohort: Cohort, table: pd.DataFrame, candidate: str, *, folds: int = 5) -> pd.DataFrame:
    """Columns ``row`` and ``risk``, at the first horizon, each risk by a model fitted on the other folds."""
    times = [cohort.survival.horizons[0].time] if cohort.survival else None
    found = []
    for fold in range(folds):
        mine = table["row"] % folds == fold
        model = small_model(cohort, table[~mine].reset_index(drop=True), candidate)
        rest = table[mine].reset_index(drop=True)
        found.append(pd.DataFrame({"row": rest["row"], "risk": model.predict_risk(rest, times)[:, 0]}))
    return pd.concat(found, ignore_index=True)


def _files(folder: Path, stem: str, cohort: Cohort, table: pd.DataFrame, candidate: str, refits: int) -> list[Path]:
    """The file of a candidate fitted on all of ``table``, then those of its refits."""
    paths = [folder / f"{stem}.skops", *(folder / f"{stem}-{part}.skops" for part in range(refits))]
    dump_model(small_model(cohort, table, candidate), paths[0])
    for part, path in enumerate(paths[1:]):
        dump_model(small_model(cohort, table[table["row"] % refits != part].reset_index(drop=True), candidate), path)
    return paths
