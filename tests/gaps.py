"""An invented cohort whose values are missing more often in older patients, under any rules for missing values."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from relapse.candidates.base import outcome
from relapse.candidates.catalogue import family
from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import typed

#: Every rule for features that may be missing.
RULES = ("median", "indicator", "iterative", "native")

#: Features that may be missing, of each kind there is.
OPEN = ("size", "nodes", "grade", "receptor", "subtype")

#: Hyperparameters of quick fits, by candidate and whether the endpoint has a time.
SMALL: dict[str, dict[bool, dict[str, Any]]] = {
    "reference": {True: {}, False: {}},
    "linear": {
        True: {"penalty": 0.02, "l1_ratio": 0.5, "scaling": "standard"},
        False: {"C": 0.5, "l1_ratio": 0.5, "scaling": "yeo-johnson"},
    },
    "svm": {True: {"kernel": "linear", "alpha": 0.01}, False: {"kernel": "rbf", "C": 1.0, "gamma": 0.05}},
    "forest": {known: {"min_samples_leaf": 5, "max_features": 0.5} for known in (True, False)},
    "xgboost": {known: {"n_estimators": 15, "max_depth": 3} for known in (True, False)},
    "catboost": {known: {"iterations": 15, "depth": 3} for known in (True, False)},
    "mlp": {known: {"members": 2} for known in (True, False)},
}


def gappy_declaration(rules: str | Mapping[str, str], *, survival: bool, **more: Any) -> dict[str, Any]:
    """The declaration of cohort ``gappy``; ``rules`` is one for all of :data:`OPEN`, or by feature."""

    def may_lack(name: str) -> dict[str, Any]:
        return {"max_missing": 0.6, "missing": rules if isinstance(rules, str) else rules[name]}

    endpoint: dict[str, Any] = {"kind": "binary", "event": "event"}
    if survival:
        endpoint = {"kind": "survival", "event": "event", "time": "time", "unit": "day", "horizons": ["1 y", "2 y"]}
    features: dict[str, dict[str, Any]] = {
        "age": {"type": "continuous", "unit": "years", "range": [18, 110]},
        "size": {"type": "continuous", "unit": "mm", "range": [0, 300]},
        "nodes": {"type": "count", "range": [0, 80]},
        "grade": {"type": "ordinal", "levels": ["I", "II", "III"]},
        "receptor": {"type": "nominal", "levels": ["negative", "positive"]},
        "subtype": {"type": "nominal", "levels": ["luminal A", "luminal B", "HER2", "triple-negative"]},
    }
    return {
        "name": "gappy",
        "title": "Gappy (invented)",
        "source": {"csv": "gappy.csv"},
        "licence": "none needed",
        "citation": "Made up for tests.",
        "endpoint": endpoint,
        "features": {name: item | (may_lack(name) if name in OPEN else {}) for name, item in features.items()},
        "reference": ["age", "size", "receptor"],
    } | more


def gappy_cohort(rules: str | Mapping[str, str], *, survival: bool, **more: Any) -> Cohort:
    """The cohort of :func:`gappy_declaration`."""
    return Cohort.model_validate(gappy_declaration(rules, survival=survival, **more))


def whole_table(*, rows: int = 240, seed: int = 3) -> pd.DataFrame:
    """The table as it would be if nothing were missing, with both kinds of outcome; one size underlies all features."""
    rng = np.random.default_rng(seed)
    worse = rng.normal(size=rows)
    noise = rng.normal(size=(rows, 4)) * 0.5
    subtype = np.digitize(worse + noise[:, 3], [-0.7, 0.3, 0.9])
    risk = expit(1.5 * worse - 0.4)
    relapse, censored = rng.exponential(600 * np.exp(-1.2 * worse)), rng.uniform(200, 1500, rows)
    return pd.DataFrame(
        {
            "row": np.arange(rows),
            "patient": [f"P{number}" for number in range(rows)],
            "site": "",
            "age": rng.normal(60, 12, rows).clip(20, 100).round(),
            "size": (25 + 9 * (worse + noise[:, 0])).clip(1, 200).round(1),
            "nodes": (3 + 3 * (worse + noise[:, 1])).clip(0, 60).round(),
            "grade": np.array(["I", "II", "III"])[np.digitize(worse + noise[:, 2], [-0.5, 0.5])],
            "receptor": np.where(worse + noise[:, 3] > 0.5, "negative", "positive"),
            "subtype": np.array(["luminal A", "luminal B", "HER2", "triple-negative"])[subtype],
            "binary": (rng.random(rows) < risk).astype(float),
            "timed": (relapse <= censored).astype(float),
            "time": np.minimum(relapse, censored).round() + 1,
        }
    )


def gappy_table(cohort: Cohort, *, rows: int = 240, seed: int = 3) -> pd.DataFrame:
    """The typed table of the cohort: of older patients more is missing."""
    table = whole_table(rows=rows, seed=seed)
    rng = np.random.default_rng(seed + 1)
    for name in OPEN:
        table[name] = table[name].where(rng.random(rows) > np.where(table["age"] > 62, 0.45, 0.12))
    table = table.assign(event=table["timed"] if cohort.survival else table["binary"])
    kept = ["row", "patient", "site", "event", *(["time"] if cohort.survival else []), *cohort.features]
    return typed(table[kept], cohort)


def gappy_model(cohort: Cohort, table: pd.DataFrame, candidate: str, **params: Any) -> RiskModel:
    """A fitted candidate."""
    head = family(candidate).head(cohort)
    assert head is not None
    chosen = SMALL[candidate][cohort.survival is not None] | params
    return RiskModel(head.model(cohort, chosen, 1).fit(table, outcome(table, cohort)))
