"""Shared fixtures: the two declared cohorts and their canonical tables, read once."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import ingest, typed

if TYPE_CHECKING:
    from tests.bundle.filmed import Filmed
    from tests.bundle.pictured import Pictured

ROOT = Path(__file__).resolve().parents[1]

#: Cohorts whose data come with installed packages or are simulated; others are files that a user has to fetch.
SHIPPED = ("gbsg", "radiomics", "wpbc")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def cohorts() -> dict[str, Cohort]:
    """Every declared cohort by name."""
    return {path.stem: read_cohort(path) for path in sorted((ROOT / "data" / "cohorts").glob("*.yaml"))}


@pytest.fixture(scope="session")
def _tables(cohorts: dict[str, Cohort]) -> dict[str, pd.DataFrame]:
    return {name: typed(ingest(cohorts[name], root=ROOT)[0], cohorts[name]) for name in SHIPPED}


@pytest.fixture
def tables(_tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Typed canonical table of every shipped cohort; a copy for each test."""
    return {name: table.copy() for name, table in _tables.items()}


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> "Pictured":
    """An invented cohort with images, and a bundle whose model looks at them."""
    for package in ("monai", "nibabel", "pydicom", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="the extra 'imaging' is not installed")
    from tests.bundle.pictured import pictured

    return pictured(tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="session")
def pond(tmp_path_factory: pytest.TempPathFactory) -> "Filmed":
    """An invented cohort with films, and a bundle that reads them."""
    for package in ("onnxscript", "onnxruntime", "PIL", "pydicom", "skimage"):
        pytest.importorskip(package, reason="the extra 'imaging' is not installed")
    from tests.bundle.filmed import filmed

    return filmed(tmp_path_factory.mktemp("pond"))
