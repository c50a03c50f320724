"""The public cohorts that the project declares are read as published; each needs a file that is not ours to copy."""

import os
import re
from pathlib import Path

import pytest

from relapse.cohorts.needs import needs
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import ingest

FILES = {
    "RELAPSE_MAMA_MIA_CLINICAL": "mama_mia_clinical.xlsx",
    "RELAPSE_DUKE_CLINICAL": "duke_clinical.xlsx",
    "RELAPSE_DUKE_MRI_FEATURES": "duke_mri_features.csv.gz",
    "RELAPSE_CBIS_DDSM_MASS": "cbis_ddsm_mass.csv",
    "RELAPSE_ROTTERDAM": "rotterdam.csv",
}
#: Rows kept, rows with the event, predictors.
FOUND = {
    "mama_mia": (523, 121, 6),
    "duke": (903, 87, 15),
    "duke_mri": (903, 87, 544),
    "duke_mri_neoadjuvant": (289, 41, 543),
    "cbis_ddsm": (1318, 637, 3),
    "cbis_ddsm_test": (378, 147, 3),
    "rotterdam": (1546, 1080, 8),
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


def test_the_documentation_lists_every_cohort_that_needs_a_file_with_its_variables_and_what_was_read(
    cohorts: dict[str, Cohort], root: Path
) -> None:
    text = (root / "docs" / "declaring.md").read_text()
    table = text[text.index("## Public cohorts") :]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| `")
    ]
    listed = {row[0].strip("`"): row for row in rows}
    needed = {name: [need.variable for need in needs(cohort)] for name, cohort in cohorts.items() if needs(cohort)}
    assert list(listed) == sorted(listed)
    assert {name: re.findall(r"RELAPSE_\w+", row[2]) for name, row in listed.items()} == needed
    for name, row in listed.items():
        kept, events = FOUND[name][:2] if name in FOUND else (None, None)
        said = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", row[3])]
        assert kept is None or (kept, events) == (said[0], said[-1]), name
    assert all(item.obtain for name in needed for item in cohorts[name].read_from.values())
