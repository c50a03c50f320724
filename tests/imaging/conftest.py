"""Tests of images need the extra ``imaging``; without it they skip, and say so."""

import os
from pathlib import Path

import pytest

from relapse.imaging.extra import absent

SHARED = Path(os.environ.get("RELAPSE_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data" / "imaging"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = absent()
    if missing:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=f"the extra 'imaging' is not installed: {', '.join(missing)}"))


@pytest.fixture(scope="session")
def slices() -> Path:
    """Real slices and masks of I-SPY1."""
    return _there("ispy1_slices")


@pytest.fixture(scope="session")
def duke() -> Path:
    """Three real DICOM slices of Duke."""
    return _there("duke_dicom")


def _there(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not in the folder that RELAPSE_SHARED names")
    return folder
