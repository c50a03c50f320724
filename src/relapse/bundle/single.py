"""One candidate's final model by itself: what answers a table, and nothing that a service or a decision needs.

Every candidate of a run is kept so, that each can be loaded and compared; what may be served is a bundle.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from relapse.bundle.eyes import Eyes, read_eyes, write_eyes
from relapse.bundle.load import check_packages
from relapse.bundle.manifest import DECLARATION, EYES, MODEL, TRUNK, Digest
from relapse.bundle.model_file import load_model, needed_packages
from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.schema import Cohort
from relapse.ground.declarations import Declared
from relapse.ground.errors import BundleError
from relapse.ground.files import sha256_of_file, write_json

if TYPE_CHECKING:
    import pandas as pd

    from relapse.candidates.risk_model import RiskModel

#: Says what the model is, and the digest of every other file in its folder.
SINGLE = "model.json"


class SingleManifest(Declared):
    """Which candidate, of which cohort and content, made by which commit, and what it needs to be read.

    ``packages`` are distributions with the versions it was made with; ``files`` the SHA-256 of each file. ``git_dirty``
    says that the code had changes that no commit holds.
    """

    format: Literal[1]
    cohort: str
    candidate: str
    title: str
    content_hash: str
    git_commit: str | None
    git_dirty: bool
    packages: dict[str, str]
    files: dict[str, Digest]


@dataclass(frozen=True, slots=True)
class Single:
    """A model that can be asked; where it looks at no pictures, ``cohort`` has no volumes and ``eyes`` are None."""

    manifest: SingleManifest
    cohort: Cohort
    model: "RiskModel"
    eyes: Eyes | None


def write_single(
    folder: Path,
    *,
    model: Path,
    declaration: Path,
    cohort: Cohort,
    table: "pd.DataFrame",
    candidate: str,
    title: str,
    content_hash: str,
    git_commit: str | None,
    git_dirty: bool,
) -> Cohort:
    """Write a candidate's model into the new folder ``folder``; returns the declaration of what it asks for.

    Parameters
    ----------
    model, declaration
        Its model file and the resolved declaration of its cohort, ``cohort`` as it was read.
    table
        The typed canonical table, of which only pictures are looked at, by a model that sees them.
    """
    folder.mkdir(parents=True)
    shutil.copyfile(model, folder / MODEL)
    shutil.copyfile(declaration, folder / DECLARATION)
    seen = write_eyes(folder, load_model(model), table) if cohort.volumes else ()
    manifest = SingleManifest(
        format=1,
        cohort=cohort.name,
        candidate=candidate,
        title=title,
        content_hash=content_hash,
        git_commit=git_commit,
        git_dirty=git_dirty,
        packages=needed_packages(model),
        files={name: sha256_of_file(folder / name) for name in (MODEL, DECLARATION, *seen)},
    )
    write_json(folder / SINGLE, manifest.model_dump())
    return _asked(cohort, manifest)


def load_single(folder: Path) -> Single:
    """Verify and load what :func:`write_single` wrote: digests are compared before anything is parsed.

    Raises
    ------
    BundleError
        A file is missing, altered or not of the model; the model file holds a type that is not trusted; or packages do
        not fit.
    """
    try:
        manifest = SingleManifest.model_validate_json((folder / SINGLE).read_bytes())
    except (OSError, ValidationError):
        raise BundleError(f"{folder / SINGLE}: missing, or not as expected. Run the register stage again.") from None
    if set(manifest.files) not in ({MODEL, DECLARATION}, {MODEL, DECLARATION, *EYES}):
        raise BundleError(f"{folder / SINGLE}: lists other files than {MODEL} and {DECLARATION}.")
    for name, digest in manifest.files.items():
        if not (folder / name).is_file() or sha256_of_file(folder / name) != digest:
            raise BundleError(f"{folder / name}: missing, or altered since it was written. It was not read.")
    check_packages(manifest.packages)
    cohort = _asked(read_cohort(folder / DECLARATION), manifest)
    eyes = read_eyes(folder) if TRUNK in manifest.files else None
    return Single(manifest, cohort, load_model(folder / MODEL), eyes)


def _asked(cohort: Cohort, manifest: SingleManifest) -> Cohort:
    """The declaration of what the model asks for: with volumes only where it looks at them."""
    return cohort if TRUNK in manifest.files else cohort.model_copy(update={"images": None})
