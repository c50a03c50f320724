"""Verifying and loading a bundle: its only reader. Digests are compared before anything is parsed."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relapse.bundle.content import read_content
from relapse.bundle.eyes import Eyes, read_eyes
from relapse.bundle.fallback import CANDIDATE, Fallback, read_fallback, whole_blocks
from relapse.bundle.films import KeptReader, read_reader
from relapse.bundle.manifest import (
    CARD,
    CHECKLIST,
    CONTENT,
    DECISION,
    DECLARATION,
    EVIDENCE,
    EYES,
    FALLBACK_CONTENT,
    FALLBACK_MODEL,
    FALLBACK_REFITS,
    FILM_READER,
    MANIFEST,
    MODEL,
    MONITORING,
    REFERENCE,
    REFITS,
    SEAL,
    TRAINING,
    TRUNK,
    Manifest,
    read_manifest,
    seal,
)
from relapse.bundle.monitoring import read_monitored
from relapse.bundle.reference import Reference, read_reference
from relapse.bundle.summary import Metric, Summary, read_metrics, read_summaries
from relapse.bundle.validations import Validations, read_validations
from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.schema import Cohort
from relapse.documents import Document, read_document
from relapse.ground.errors import BundleError, DeclarationError
from relapse.ground.files import read_json, sha256_of_file

if TYPE_CHECKING:
    from relapse.candidates.risk_model import RiskModel
    from relapse.monitoring.monitored import Monitored

#: Libraries whose objects are rebuilt from a model file: another minor version may read them as something else.
_REBUILT = ("scikit-learn", "scikit-survival")


@dataclass(frozen=True, slots=True)
class Description:
    """A bundle without its model: all that is needed to say what is served and which requests it takes.

    ``validations`` is what stands beside the bundle about external validations, None where nothing does. ``fallback``
    is what is known of the model that answers without blocks, None where the bundle has none. ``cohort`` has volumes
    only where the champion looks at them. ``film_reader`` reads what the cohort's films show, None where it has none.
    ``monitored`` is what served patients are held against, None in bundles from before it was kept.
    """

    manifest: Manifest
    cohort: Cohort
    training: dict[str, Summary]
    metrics: tuple[Metric, ...]
    decision: dict[str, Any]
    card: Document
    checklist: Document
    reference: Reference
    validations: Validations | None
    fallback: Fallback | None
    film_reader: KeptReader | None
    monitored: "Monitored | None"

    @property
    def optional_blocks(self) -> list[str]:
        """The blocks that a patient may do without: all, where the reference is at hand to answer, else none."""
        answers = self.fallback is not None or self.manifest.candidate == CANDIDATE
        return whole_blocks(self.cohort) if answers else []


@dataclass(frozen=True, slots=True)
class Bundle(Description):
    """A bundle that can predict; the fallback's models are None and none where it has no fallback.

    ``eyes`` are what the champion looks at pictures with, None where it looks at none.
    """

    model: "RiskModel"
    refits: "tuple[RiskModel, ...]"
    fallback_model: "RiskModel | None"
    fallback_refits: "tuple[RiskModel, ...]"
    eyes: Eyes | None


def verify_bundle(folder: Path) -> Manifest:
    """Compare every file of a bundle with its digest, and the manifest with its seal.

    This finds damage and mix-ups. It is no signature: whoever can write the folder can write a new seal.

    Raises
    ------
    BundleError
        A file is altered, missing or not of the bundle, or the bundle has another format.
    """
    path = folder / MANIFEST
    if path.is_file():
        sealed = folder / SEAL
        if not sealed.is_file():
            raise BundleError(
                f"{sealed}: this file of the bundle is missing. Copy the whole folder, or write it again."
            )
        if sealed.read_bytes() != seal(sha256_of_file(path)).encode():
            raise BundleError(
                f"{path}: altered, or {SEAL} was: they do not fit together. Copy the whole folder, or write it again."
            )
    manifest = read_manifest(folder)
    besides = set(manifest.files) - set(CONTENT)
    parts = [set(part) for part in (FALLBACK_CONTENT, EYES, FILM_READER, (MONITORING,)) if besides & set(part)]
    if not set(CONTENT) <= set(manifest.files) or besides != set().union(*parts):
        raise BundleError(f"{path}: lists other files than {', '.join(CONTENT)}. Write the bundle again.")
    for extra in sorted(folder.iterdir()):
        if extra.name not in (*manifest.files, MANIFEST, SEAL):
            raise BundleError(f"{extra}: not a part of the bundle. Remove it.")
    for name, digest in manifest.files.items():
        if not (folder / name).is_file():
            raise BundleError(f"{folder / name}: this file of the bundle is missing. Copy the whole folder again.")
        if sha256_of_file(folder / name) != digest:
            raise BundleError(f"{folder / name}: altered since the bundle was written. It was not read.")
    return manifest


def describe_bundle(folder: Path) -> Description:
    """Verify a bundle and read all of it but the model.

    Raises
    ------
    BundleError
        As :func:`verify_bundle`, or a file does not hold what it should.
    """
    manifest = verify_bundle(folder)
    try:
        cohort = read_cohort(folder / DECLARATION)
    except DeclarationError as error:
        raise BundleError(str(error)) from None
    if cohort.name != manifest.cohort:
        raise BundleError(f"{folder}: the manifest is of cohort {manifest.cohort}, {DECLARATION} of {cohort.name}.")
    if bool(cohort.films) != (set(FILM_READER) <= set(manifest.files)):
        raise BundleError(
            f"{folder}: the films that {DECLARATION} declares and the files of their reader do not fit together. "
            "Write the bundle again."
        )
    if cohort.volumes and TRUNK not in manifest.files:
        cohort = cohort.model_copy(update={"images": None})
    decision = read_json(folder / DECISION)
    if not isinstance(decision, dict):
        raise BundleError(f"{folder / DECISION}: expected keys and values.")
    return Description(
        manifest=manifest,
        cohort=cohort,
        training=read_summaries(folder / TRAINING, cohort),
        metrics=read_metrics(folder / EVIDENCE),
        decision=decision,
        card=read_content(folder / CARD, read_document),
        checklist=read_content(folder / CHECKLIST, read_document),
        reference=read_reference(folder / REFERENCE, cohort),
        validations=read_validations(folder),
        fallback=read_fallback(folder, cohort),
        film_reader=read_reader(folder),
        monitored=read_monitored(folder, cohort),
    )


def load_bundle(folder: Path) -> Bundle:
    """Verify a bundle and load it with its model.

    Raises
    ------
    BundleError
        As :func:`describe_bundle` and :func:`check_packages`; or the model file holds a type that is not trusted.
    """
    found = describe_bundle(folder)
    check_packages(found.manifest.packages)
    from relapse.bundle.model_file import load_model, load_models

    return Bundle(
        **{part.name: getattr(found, part.name) for part in fields(found)},
        model=load_model(folder / MODEL),
        refits=load_models(folder / REFITS),
        fallback_model=load_model(folder / FALLBACK_MODEL) if found.fallback else None,
        fallback_refits=load_models(folder / FALLBACK_REFITS) if found.fallback else (),
        eyes=read_eyes(folder),
    )


def check_packages(packages: Mapping[str, str]) -> None:
    """Check that this environment has what a model needs: distributions with the versions it was written with.

    Raises
    ------
    BundleError
        A package is missing, or of a version that may read the model as something else.
    """
    for name, written in packages.items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            raise BundleError(
                f"The model needs the package {name}, which is not installed. Install {name}=={written}."
            ) from None
        if name in _REBUILT and installed.split(".")[:2] != written.split(".")[:2]:
            raise BundleError(
                f"The model was written with {name} {written}, and {installed} is installed. Install {name}=={written}."
            )
