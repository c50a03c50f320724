"""A hospital's films, from a folder of them and a clinical sheet to a bundle that reads films."""

import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from relapse.bundle.manifest import FILM_READER
from relapse.imaging.films.parts import read_parts, write_parts
from tests.bundle.filmed import taught_a_little
from tests.project import Project

COHORT = "valley"

DECLARED = {
    "name": COHORT,
    "title": "Valley hospital",
    "simulated": True,
    "source": {"csv": "data/raw/valley/readings.csv"},
    "licence": "none",
    "citation": "none",
    "patient": "patient",
    "view": "view",
    "endpoint": {"kind": "binary", "event": "relapse", "label": "relapse"},
    "features": {
        "size": {"type": "continuous", "label": "Diameter", "unit": "mm", "range": [1, 150]},
        "margin": {"type": "nominal", "levels": {0: "clear", 1: "lobed", 2: "blurred", 3: "strands"}},
        "density": {"type": "nominal", "levels": {0: "fat", 1: "some", 2: "much", 3: "all"}},
        "subtype": {"type": "nominal", "levels": {0: "A", 1: "B", 2: "HER2", 3: "TN"}},
    },
    "reference": ["subtype"],
    "images": {
        "kind": "mammogram",
        "reader": "${VALLEY_READER}",
        "size": "size",
        "margin": "margin",
        "density": "density",
    },
}


@pytest.mark.slow
def test_films_become_a_table_a_report_and_a_bundle_that_reads_films(tmp_path: Path) -> None:
    project = Project.copy(tmp_path, cohorts=[COHORT], candidates=["reference", "linear"])
    raw = project.root / "data" / "raw"
    write_parts(taught_a_little().parts, project.root / "reader")
    project.settings["VALLEY_READER"] = str(project.root / "reader")
    YAML().dump(DECLARED, project.root / "data" / "cohorts" / f"{COHORT}.yaml")

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        done = project.run(*command)
        assert done.returncode == 0, done.stdout
        return done

    run("relapse", "simulate", "films", "--out", str(raw / "films"), "--patients", "80", "--seed", "2")
    read = ("relapse", "films", "read", str(raw / "films" / "films.csv"), "--reader", str(project.root / "reader"))
    read += ("--clinical", str(raw / "films" / "clinical.csv"), "--out", str(raw / "valley"))
    assert "0 values corrected" in run(*read).stdout
    corrections = raw / "valley" / "corrections.csv"
    sheet = pd.read_csv(corrections, dtype=str, keep_default_na=False)
    # Where no lesion was found nothing is known of one: the radiologist says.
    lacking = sheet["size_proposed"] == ""
    sheet.loc[lacking, ["size", "margin"]] = ["12", "1"]
    sheet.loc[0, ["size", "margin", "density"]] = ["33", "3", "2"]
    sheet.to_csv(corrections, index=False)
    run(*read)
    readings = pd.read_csv(raw / "valley" / "readings.csv")
    assert readings.loc[0, ["size", "margin", "density", "size_by"]].tolist() == [33, 3, 2, "radiologist"]

    run("dvc", "init", "--no-scm", "--quiet")
    run("dvc", "repro")
    results = project.root / "results"
    flow = json.loads((results / "ingest" / COHORT / "flow.json").read_text())
    assert flow["patients_kept"] == 80
    assert flow["rows_kept"] == len(readings)
    assert "Diameter" in (results / "report" / COHORT / "report.html").read_text()
    parts = read_parts(project.root / "reader")
    (bundle,) = {path.parent for path in (project.root / "mlruns").rglob("film-reader.json")}
    assert {part: (bundle / name).read_bytes() for name, part in FILM_READER.items()} == parts

    # Another reader is another model: what is served reads with it.
    (project.root / "reader" / "reader.json").write_text('{"format": 1, "taught": "anew"}')
    run("dvc", "repro", "--force", f"ingest@{COHORT}")
    again = run("dvc", "repro")
    assert f"Running stage 'register@{COHORT}'" in again.stdout
    assert f"Running stage 'train@{COHORT}-linear'" not in again.stdout
