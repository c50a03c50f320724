"""Finding and reading cohort declarations."""

from pathlib import Path

from relapse.cohorts.schema import Cohort
from relapse.ground.declarations import parse, read_yaml
from relapse.ground.errors import DeclarationError


def read_cohort(path: Path) -> Cohort:
    """Read one declaration.

    Raises
    ------
    DeclarationError
        With file, key, value and what is allowed; also when the file's name is not the cohort's name.
    """
    cohort = parse(Cohort, read_yaml(path), origin=path)
    if cohort.name != path.stem and path.stem != "cohort":
        raise DeclarationError(
            f"{path}: name: the cohort is called {cohort.name!r}, so its file is {cohort.name}.yaml."
        )
    return cohort
