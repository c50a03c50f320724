"""Shared fixtures: the two declared cohorts and their canonical tables, read once."""

from pathlib import Path

import pandas as pd
import pytest

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import ingest, typed

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
