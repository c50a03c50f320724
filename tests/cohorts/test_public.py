"""The public cohorts that the project declares are read as published; each needs a file that is not ours to copy."""

import os
from pathlib import Path

import pytest

from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import ingest

FILES = {
    "RELAPSE_MAMA_MIA_CLINICAL": "mama_mia_clinical.xlsx",
    "RELAPSE_DUKE_CLINICAL": "duke_clinical.xlsx",
    "RELAPSE_DUKE_MRI_FEATURES": "duke_mri_features.csv.gz",
    "RELAPSE_CBIS_DDSM_MASS": "cbis_ddsm_mass.csv",
}
#: Rows kept, rows with the event, predictors.
FOUND = {
    "mama_mia": (523, 121, 6),
    "duke": (903, 87, 15),
    "duke_mri": (903, 87, 544),
    "duke_mri_neoadjuvant": (289, 41, 543),
    "cbis_ddsm": (1318, 637, 3),
    "cbis_ddsm_test": (378, 147, 3),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_public_cohort_is_read_as_published(
    name: str, cohorts: dict[str, Cohort], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(os.environ.get("RELAPSE_SHARED") or root.parent / "shared") / "data"
    for variable, file in FILES.items():
        if not (folder / file).is_file():
            pytest.skip(f"{folder / file} is not there")
        monkeypatch.setenv(variable, str(folder / file))
    table, _, cohort = ingest(cohorts[name], root=root)
    assert (len(table), int(table["event"].sum()), len(cohort.predictors)) == FOUND[name]
