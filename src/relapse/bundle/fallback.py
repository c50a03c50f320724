"""What answers where a whole block of features is missing: the clinical reference, beside the champion.

It stands in the bundle of a cohort that declares blocks, unless the champion is the reference itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from relapse.bundle.content import read_content
from relapse.bundle.manifest import FALLBACK, FALLBACK_MODEL, FALLBACK_REFITS
from relapse.bundle.reference import Reference, refer
from relapse.cohorts.schema import Cohort
from relapse.ground.declarations import Declared
from relapse.ground.errors import BundleError
from relapse.ground.files import write_json

if TYPE_CHECKING:
    import pandas as pd

#: The candidate that answers without blocks.
CANDIDATE = "reference"


@dataclass(frozen=True, slots=True)
class ToFallBackOn:
    """The clinical reference's files; ``risks`` and ``refits`` as for :func:`relapse.bundle.write.write_bundle`."""

    title: str
    model: Path
    risks: Sequence[float] = ()
    refits: Sequence[Path] = ()


class Fallback(Declared):
    """A fallback without its models: its name for people, and what a patient is compared with in its features alone."""

    title: str
    reference: Reference


def whole_blocks(cohort: Cohort) -> list[str]:
    """The blocks that have a predictor."""
    return [name for name in cohort.blocks if cohort.block_inputs(name)]


def needs_fallback(cohort: Cohort, candidate: str) -> bool:
    """Whether a bundle of this candidate holds the reference besides."""
    return candidate != CANDIDATE and bool(whole_blocks(cohort))


def without_blocks(cohort: Cohort) -> Cohort:
    """The cohort as the reference knows it: its features are the only predictors."""
    return cohort.restricted(cohort.reference, name=cohort.name)


def write_fallback(folder: Path, given: ToFallBackOn, table: "pd.DataFrame", cohort: Cohort) -> None:
    """Write the files into a bundle's folder; raises as :func:`relapse.bundle.model_file.load_model`."""
    from relapse.bundle.model_file import dump_model, dump_models, load_model

    described = Fallback(title=given.title, reference=refer(table, without_blocks(cohort), risks=given.risks))
    write_json(folder / FALLBACK, described.model_dump())
    dump_model(load_model(given.model), folder / FALLBACK_MODEL)
    dump_models([load_model(path) for path in given.refits], folder / FALLBACK_REFITS)


def read_fallback(folder: Path, cohort: Cohort) -> Fallback | None:
    """What a verified bundle says of its fallback; None where it has none.

    Raises
    ------
    BundleError
        Not what :func:`write_fallback` writes for this cohort.
    """
    path = folder / FALLBACK
    if not path.is_file():
        return None
    found = read_content(path, Fallback.model_validate_json)
    if list(found.reference.typical) != without_blocks(cohort).predictors:
        raise BundleError(f"{path}: its features are not the reference of cohort {cohort.name}.")
    return found
