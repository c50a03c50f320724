"""What is known of a bundle's external validations: a file beside it, because the bundle itself was sealed before.

It names the bundle by the digest of its manifest, and the day on which the registry was asked: what was found later
stands in the registry alone.
"""

from pathlib import Path

from pydantic import Field, ValidationError

from relapse.bundle.manifest import MANIFEST, Digest
from relapse.documents import Section, Table
from relapse.ground.declarations import Declared
from relapse.ground.errors import BundleError
from relapse.ground.files import sha256_of_file, write_json


class Validation(Declared):
    """One external validation: on which cohort, what it found, the day, and the MLflow run that holds it.

    Day and run are null where the registry names a validation whose run is no more.
    """

    cohort: str
    result: str
    day: str | None = Field(default=None, examples=["2026-11-27"])
    run: str | None = None


class Validations(Declared):
    """Every external validation of a registered version that was known on one day."""

    model: str = Field(examples=["relapse-gbsg"])
    version: str = Field(description="The version's number in the registry.", examples=["3"])
    asked: str = Field(description="The day on which the registry was asked.", examples=["2026-11-27"])
    manifest: Digest = Field(description="SHA-256 of the manifest of the bundle that this is about.")
    found: tuple[Validation, ...]


def validations_file(bundle: Path) -> Path:
    """Where this stands: beside the bundle's folder, under its name."""
    folder = bundle.resolve()
    return folder.with_name(f"{folder.name}.validations.json")


def write_validations(bundle: Path, *, model: str, version: str, asked: str, found: tuple[Validation, ...]) -> Path:
    """Write down what was known of a bundle; returns the file."""
    manifest = sha256_of_file(bundle / MANIFEST)
    known = Validations(model=model, version=version, asked=asked, manifest=manifest, found=found)
    write_json(validations_file(bundle), known.model_dump(mode="json"))
    return validations_file(bundle)


def read_validations(bundle: Path) -> Validations | None:
    """What was known of a bundle; None where nobody wrote it down.

    Raises
    ------
    BundleError
        The file is not as expected, or about another bundle.
    """
    path = validations_file(bundle)
    if not path.is_file():
        return None
    try:
        known = Validations.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BundleError(
            f"{path}: not as expected ({error.error_count()} faults). Run the package stage again, or remove it."
        ) from None
    if known.manifest != sha256_of_file(bundle / MANIFEST):
        raise BundleError(f"{path}: is about another bundle than {bundle}. Run the package stage again, or remove it.")
    return known


def in_words(known: Validations | None) -> str:
    """In a sentence how far one has looked."""
    if known is None:
        return (
            "Not known here: this bundle came without what the registry says of external validations. The model card "
            "tells what was known when the model was registered."
        )
    asked = f"in the registry on {known.asked} ({known.model} version {known.version})"
    later = "One made later stands there, and here after the model is packaged again."
    if not known.found:
        return f"None was recorded {asked}. {later}"
    return f"What was recorded {asked}, after the rest of this card was sealed. {later}"


def section(known: Validations | None) -> Section:
    """What is known, as a section of the model card."""
    rows = tuple((item.cohort, item.result, item.day or "", item.run or "") for item in known.found) if known else ()
    table = Table(("cohort", "result", "day", "MLflow run"), rows) if rows else None
    return Section("External validation", (in_words(known),), table)
