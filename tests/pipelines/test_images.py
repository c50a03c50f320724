"""A hospital's own cohort with DCE-MRI volumes, from the volumes to the report and MLflow's record."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from relapse.imaging.phantoms import Phantoms, write_phantoms
from relapse.machinery import machinery
from relapse.params import read_params
from tests.imaging.making import mask_path, save
from tests.project import ROOT, Project

COHORT = "harbour"

#: Whose mask is empty.
FAULTY = "PHANTOM_0003"

DECLARED = {
    "name": COHORT,
    "title": "Harbour hospital",
    "simulated": True,
    "source": {"csv": "data/raw/scans/sheet.csv"},
    "licence": "none",
    "citation": "none",
    "patient": "mrn",
    "endpoint": {
        "kind": "survival",
        "event": "relapse_day",
        "event_form": "day",
        "time": "last_seen",
        "unit": "day",
        "horizons": ["3 y"],
    },
    "features": {
        "receptor": {"type": "nominal", "levels": {0: "negative", 1: "positive"}},
        "years": {"type": "count", "range": [18, 100], "block": "other"},
    },
    "blocks": {"other": {"title": "age"}, "mri": {"title": "breast MRI", "over": ["reference"]}},
    "images": {
        "kind": "dce_mri",
        "folder": "${HARBOUR_SCANS}",
        "block": "mri",
        "encoder": {"weights": "random", "views": 1},
        "preprocessing": {"channels": "subtraction", "correction": None, "size": 32},
    },
    "reference": ["receptor"],
    "subgroups": ["receptor"],
}

CANDIDATES = ("reference", "linear", "densenet121")


def write_files(folder: Path, *, patients: int = 36) -> None:
    """Phantoms below ``folder``, under column names that are no data set's, the mask of one of them empty."""
    shape = (48, 48, 16)
    write_phantoms(Phantoms(patients=patients, shape=shape, signal=2.0, seed=8), folder, machinery())
    names = {
        "patient_id": "mrn",
        "hr": "receptor",
        "age": "years",
        "days_to_follow_up": "last_seen",
        "days_to_recurrence": "relapse_day",
    }
    sheet = pd.read_csv(folder / "clinical.csv").rename(columns=names)[list(names.values())]
    sheet.to_csv(folder / "sheet.csv", index=False)
    marked = nib.nifti1.load(mask_path(folder, FAULTY))
    save(mask_path(folder, FAULTY), np.zeros(shape, np.uint8), marked.affine)


@pytest.mark.slow
def test_volumes_become_a_report_that_says_what_the_images_add_and_a_record_in_mlflow(tmp_path: Path) -> None:
    register = read_params(ROOT / "params.yaml").register_.model_dump(mode="json") | {"events_per_parameter": 1}
    project = Project.copy(
        tmp_path,
        cohorts=[COHORT],
        candidates=list(CANDIDATES),
        register=register,
        added_value={"candidates": ["linear", "densenet121"]},
    )
    write_files(project.root / "data" / "raw" / "scans")
    YAML().dump(DECLARED, project.root / "data" / "cohorts" / f"{COHORT}.yaml")
    project.settings["HARBOUR_SCANS"] = str(project.root / "data" / "raw" / "scans")
    assert project.run("dvc", "init", "--no-scm", "--quiet").returncode == 0
    done = project.run("dvc", "repro")
    assert done.returncode == 0, done.stdout

    results = project.root / "results"
    flow = json.loads((results / "ingest" / COHORT / "flow.json").read_text())
    assert (flow["rows_read"], flow["rows_kept"], flow["patients_kept"]) == (36, 35, 35)
    assert [(one["patient"], one["fault"]) for one in flow["set_aside"]] == [(FAULTY, "mask-empty")]
    for name in CANDIDATES:
        made = pd.read_parquet(results / "train" / COHORT / name / "predictions.parquet")
        assert len(made) == 35
        assert FAULTY not in set(made["patient"])
        assert np.isfinite(made[["score", "risk_3y"]].to_numpy()).all()
    record = json.loads((results / "train" / COHORT / "densenet121" / "record.json").read_text())
    assert record["title"] == "DenseNet121 (not pretrained)"
    page = (results / "report" / COHORT / "report.html").read_text()
    assert "from up to 2 features known at baseline and breast MRI were compared" in page
    assert "What do “age” and “breast MRI” add?" in page
    assert "DenseNet121 (not pretrained)" in page
    added = json.loads((results / "added_value" / COHORT / "added_value.json").read_text())
    asked = {answer["name"]: [one["family"] for one in answer["families"]] for answer in added["answers"]}
    assert asked == {"other_over_reference": ["linear"], "mri_over_reference": ["densenet121"]}
    assert json.loads((results / "register" / COHORT / "decision.json").read_text())["rules"]

    again = project.run("dvc", "repro", "--dry")
    assert "ingest" not in [
        line.split("@")[0].split("'")[-1] for line in again.stdout.splitlines() if "Running" in line
    ]
