"""Images join the table: rows get their pictures, patients whose images cannot be used leave and are named."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import Ingested, ingest, picture_path, read_table
from relapse.ground.errors import SourceError
from relapse.ground.files import write_parquet
from relapse.ground.workspace import Workspace
from relapse.imaging import cache, extra
from relapse.imaging.joined import Kept, join_images
from relapse.imaging.stored import open_picture
from tests.pictured import ALONE, declared

from .making import SHAPE, affine, mask_path, phase_path, save, study, voxels

PATIENTS = ("A1", "B2", "C3", "D4")


def cohort_in(root: Path, *, rows: int = 1, **images: Any) -> tuple[Cohort, Ingested]:
    """A cohort with ``rows`` rows a patient, read, and its images in the folder ``scans``."""
    content = declared(binary=True)
    content["images"] = content["images"] | {"folder": "scans"} | images
    cohort = Cohort.model_validate(content)
    sheet = pd.DataFrame(
        {
            "who": np.repeat(PATIENTS, rows),
            "grade": "low",
            "bulk": np.arange(len(PATIENTS) * rows),
            "marker": 1,
            "came_back": [0, 1] * (len(PATIENTS) * rows // 2),
        }
    )
    sheet.to_csv(root / "sheet.csv", index=False)
    for number, name in enumerate(PATIENTS):
        study(root / "scans", name)
        save(phase_path(root / "scans", 0, name), voxels(number + 10))
    return cohort, ingest(cohort, root=root)


def joined(root: Path, cohort: Cohort, found: Ingested) -> Ingested:
    at = Workspace(cohort.name, root)
    assert cohort.images is not None
    kept = Kept(at.kept_pictures, at.pictures, at.contact_sheets)
    return join_images(found, cohort.images, kept, root=root, machinery=ALONE)


def empty_mask(root: Path, patient: str) -> None:
    save(mask_path(root / "scans", patient), np.zeros(SHAPE, np.uint8), affine())


def test_every_row_is_given_the_picture_of_its_patient_and_reads_it_from_beside_the_table(tmp_path: Path) -> None:
    cohort, found = cohort_in(tmp_path, rows=2)
    table = joined(tmp_path, cohort, found).table
    assert len(table) == 8
    assert table.groupby("patient")[IMAGE].nunique().eq(1).all()
    assert table[IMAGE].nunique() == 4
    at = Workspace(cohort.name, tmp_path)
    write_parquet(at.table, table)
    read = read_table(at.table, cohort)
    assert all(Path(path).is_absolute() for path in read[IMAGE])
    assert open_picture(Path(read[IMAGE][0])).channels.shape == (1, 3, 32, 32)
    shutil.move(tmp_path / "results", tmp_path / "elsewhere")
    moved = read_table(tmp_path / "elsewhere" / "ingest" / cohort.name / "table.parquet", cohort)
    assert open_picture(Path(moved[IMAGE][0])).mask.any()


def test_a_patient_whose_images_cannot_be_used_leaves_with_all_rows_and_the_flow_names_her(tmp_path: Path) -> None:
    cohort, found = cohort_in(tmp_path, rows=2)
    empty_mask(tmp_path, "B2")
    empty_mask(tmp_path, "D4")
    phase_path(tmp_path / "scans", 1, "C3").unlink()
    table, flow, _ = joined(tmp_path, cohort, found)
    assert set(table["patient"]) == {"A1"}
    assert list(table.index) == [0, 1]
    assert [(one.patient, one.fault) for one in flow.set_aside] == [
        ("B2", "mask-empty"),
        ("C3", "phase-absent"),
        ("D4", "mask-empty"),
    ]
    assert [(one.reason, one.rows) for one in flow.excluded] == [
        ("images: a phase is missing (phase-absent)", 2),
        ("images: the mask marks nothing (mask-empty)", 4),
    ]
    assert (flow.rows_read, flow.rows_kept, flow.patients_kept) == (8, 2, 1)
    assert flow.rows_read == flow.rows_kept + sum(one.rows for one in flow.excluded)
    assert flow.to_json()["set_aside"][0]["message"].startswith("the mask marks no voxel")  # type: ignore[index]


def test_where_nobody_can_be_used_one_error_says_why_for_most(tmp_path: Path) -> None:
    cohort, found = cohort_in(tmp_path)
    for name in PATIENTS[:3]:
        empty_mask(tmp_path, name)
    mask_path(tmp_path / "scans", "D4").unlink()
    with pytest.raises(SourceError, match=r"scans: the images of none of 4 patients can be used; 3 times: mask-empty"):
        joined(tmp_path, cohort, found)


def test_an_environment_variable_that_is_not_set_and_a_folder_that_is_absent_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, found = cohort_in(tmp_path, folder="${RELAPSE_TEST_SCANS}")
    monkeypatch.delenv("RELAPSE_TEST_SCANS", raising=False)
    with pytest.raises(SourceError, match=r"environment variable RELAPSE_TEST_SCANS is not set. Set it to the folder"):
        joined(tmp_path, cohort, found)
    monkeypatch.setenv("RELAPSE_TEST_SCANS", str(tmp_path / "nowhere"))
    with pytest.raises(SourceError, match=r"^\$\{RELAPSE_TEST_SCANS\}: no such folder\.$"):
        joined(tmp_path, cohort, found)
    monkeypatch.setenv("RELAPSE_TEST_SCANS", str(tmp_path / "results"))
    (tmp_path / "results").mkdir()
    with pytest.raises(SourceError, match=r"images: no such folder. Images are expected as images/<ID>"):
        joined(tmp_path, cohort, found)


def test_without_the_extra_one_message_says_how_to_install_it_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, found = cohort_in(tmp_path)
    monkeypatch.setattr(extra, "NEEDED", ("nibabel", "no_such_package", "numpy"))
    with pytest.raises(
        SourceError,
        match=r"images cannot be used: .* not installed: no_such_package. Install it: pip install 'relapse\[imaging\]'",
    ):
        joined(tmp_path, cohort, found)
    assert not (tmp_path / ".cache").exists()


def test_a_second_run_makes_nothing_anew_and_a_killed_one_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, found = cohort_in(tmp_path)
    first = joined(tmp_path, cohort, found).table
    at, made = Workspace(cohort.name, tmp_path), []
    shutil.rmtree(at.of("ingest"))
    picture_path(at.kept_pictures, first[IMAGE][1]).unlink()
    real = cache.make
    monkeypatch.setattr(cache, "make", lambda *given: made.append(given) or real(*given))
    pd.testing.assert_frame_equal(joined(tmp_path, cohort, found).table, first)
    assert len(made) == 1
    joined(tmp_path, cohort, found)
    assert len(made) == 1


def test_only_pictures_of_the_cohort_lie_beside_its_table_and_contact_sheets_show_them(tmp_path: Path) -> None:
    cohort, found = cohort_in(tmp_path)
    at = Workspace(cohort.name, tmp_path)
    before = joined(tmp_path, cohort, found).table
    # A study that is replaced: the old picture stays in the cache, and leaves the results.
    save(phase_path(tmp_path / "scans", 0, "A1"), voxels(99))
    table = joined(tmp_path, cohort, found).table
    assert before[IMAGE][0] != table[IMAGE][0]
    assert {path.stem for path in at.pictures.glob("*/*.npz")} == set(table[IMAGE])
    (at.contact_sheets / "002.png").touch()
    joined(tmp_path, cohort, found)
    (page,) = at.contact_sheets.iterdir()
    assert page.read_bytes().startswith(b"\x89PNG")
