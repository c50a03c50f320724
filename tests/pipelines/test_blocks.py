"""A hospital's own cohort of two files with a wide block, from the files to the report and the served answer."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from relapse.bundle.load import load_bundle
from tests.project import Project

COHORT = "valley"
DECLARED = {
    "name": COHORT,
    "title": "Valley hospital",
    "simulated": False,
    "sources": {
        "ward": {"csv": "data/raw/ward.csv", "key": "mrn", "missing": ["unknown"]},
        "scans": {"csv": "data/raw/scans.csv", "key": "subject", "separator": ";", "decimal": ","},
    },
    "licence": "none",
    "citation": "none",
    "site": "clinic",
    "endpoint": {
        "kind": "survival",
        "event": "relapse_day",
        "event_form": "day",
        "time": "last_seen",
        "unit": "day",
        "horizons": ["2 y"],
    },
    "features": {
        "nodes": {"type": "count", "range": [0, 60]},
        "er": {"type": "nominal", "levels": {"neg": "negative", "pos": "positive"}, "max_missing": 0.1},
        "tx_*": {
            "type": "continuous",
            "block": "texture",
            "max_missing": 0.2,
            "range": {"quantiles": [0.01, 0.99], "margin": 1.0},
        },
    },
    "reference": ["nodes", "er"],
    "blocks": {"texture": {"title": "scan texture", "costly": True}},
    "subgroups": ["er"],
}


def write_files(folder: Path, *, patients: int = 260, textures: int = 36) -> None:
    """Two tables of one hospital; the first texture goes with relapse, and ten patients have no scan."""
    rng = np.random.default_rng(5)
    nodes, er = rng.poisson(3, patients), rng.random(patients) < 0.7
    hidden = rng.normal(size=(patients, 6))
    scans = hidden[:, np.arange(textures) % 6] + 0.4 * rng.normal(size=(patients, textures))
    day = rng.exponential(1500 * np.exp(-0.15 * (nodes - 3) + 0.3 * er - 1.2 * hidden[:, 0]))
    end = rng.uniform(400, 2500, patients)
    relapsed = day <= end
    names = [f"A-{number:03d}" for number in range(patients)]
    pd.DataFrame(
        {
            "mrn": names,
            "clinic": rng.choice(["hill", "lake"], patients),
            "nodes": nodes,
            "er": np.where(rng.random(patients) < 0.03, "unknown", np.where(er, "pos", "neg")),
            "relapse_day": np.where(relapsed, np.ceil(day), 0).astype(int),
            "last_seen": np.ceil(np.minimum(day, end)).astype(int),
        }
    ).to_csv(folder / "ward.csv", index=False)
    table = pd.DataFrame(scans, columns=[f"tx_{number}" for number in range(textures)])
    table.insert(0, "subject", names)
    table.iloc[10:].to_csv(folder / "scans.csv", index=False, sep=";", decimal=",")


@pytest.mark.slow
def test_two_files_become_a_report_that_says_what_the_scans_add_and_a_model_that_does_without(tmp_path: Path) -> None:
    project = Project.copy(tmp_path, cohorts=[COHORT], register={**_policy(), "events_per_parameter": 1})
    write_files(project.root / "data" / "raw")
    YAML().dump(DECLARED, project.root / "data" / "cohorts" / f"{COHORT}.yaml")
    assert project.run("dvc", "init", "--no-scm", "--quiet").returncode == 0
    done = project.run("dvc", "repro")
    assert done.returncode == 0, done.stdout

    results = project.root / "results"
    flow = json.loads((results / "ingest" / COHORT / "flow.json").read_text())
    assert (flow["rows_read"], flow["rows_kept"]) == (260, 250)
    found = json.loads((results / "added_value" / COHORT / "metrics.json").read_text())
    assert found["texture_over_reference"]["linear"]["shown"] == 1.0
    page = (results / "report" / COHORT / "report.html").read_text()
    assert "What does “scan texture” add?" in page
    assert "was shown to add to nodes + er" in page
    decision = json.loads((results / "register" / COHORT / "decision.json").read_text())
    rules = {rule["name"]: rule["passed"] for rule in decision["rules"]}
    assert decision["challenger"] == "linear", decision["summary"]
    assert rules["adds value: texture"]
    assert "added.texture_over_reference.linear.difference" in _logged(project)

    bundle = load_bundle(results / "package" / COHORT / "bundle")
    assert bundle.fallback_model is not None
    shown = project.run("dvc", "metrics", "show").stdout
    assert f"results/added_value/{COHORT}/metrics.json" in shown


def _policy() -> dict[str, object]:
    from relapse.params import read_params
    from tests.project import ROOT

    return read_params(ROOT / "params.yaml").register_.model_dump(mode="json")


def _logged(project: Project) -> set[str]:
    from mlflow import MlflowClient

    from relapse.machinery import own_registry

    client = MlflowClient(own_registry(project.root))
    runs = client.search_runs([item.experiment_id for item in client.search_experiments()])
    return {name for run in runs for name in run.data.metrics}
