"""The known example of a bundle: a made-up patient, and what the bundle answered when it was packaged.

It stands in a file beside the bundle, which was sealed before. Whoever serves the bundle asks for the same and holds
the answers against each other: so a model that was damaged, mixed up or read by another library is told before a
patient is answered.
"""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from relapse.bundle.load import load_bundle
from relapse.bundle.manifest import MANIFEST, Digest
from relapse.ground.declarations import Declared
from relapse.ground.errors import BundleError
from relapse.ground.files import sha256_of_file, write_json

#: How far an answer may lie from the recorded one, in proportion: machines add up in other orders.
TOLERANCE = 1e-6


class Example(Declared):
    """A patient made up from the declaration, and the bundle's answer: all its numbers, and of its explanation output.

    ``manifest`` is the SHA-256 of the bundle's manifest.
    """

    manifest: Digest
    model: str
    version: str
    patient: dict[str, Any]
    score: float
    risks: tuple[float, ...]
    output: float


def example_file(bundle: Path) -> Path:
    """Where it stands: beside the bundle's folder, under its name."""
    folder = bundle.resolve()
    return folder.with_name(f"{folder.name}.example.json")


def write_example(bundle: Path) -> Example:
    """Ask a bundle for its typical patient, and write down what it answers."""
    from relapse.serving.predictor import Predictor, typical_patient

    loaded = load_bundle(bundle)
    patient, predictor = typical_patient(loaded.cohort, loaded.optional_blocks), Predictor(loaded)
    (answer,) = predictor.predict([patient])
    found = Example(
        manifest=sha256_of_file(bundle / MANIFEST),
        model=loaded.manifest.name,
        version=loaded.manifest.version,
        patient=patient.model_dump(mode="json"),
        score=answer.score,
        risks=risks_of(answer.model_dump(mode="json")),
        output=predictor.explain(patient).output,
    )
    write_json(example_file(bundle), found.model_dump(mode="json"))
    return found


def risks_of(answer: dict[str, Any]) -> tuple[float, ...]:
    """The risks in an answer: one, or one a horizon."""
    several = answer.get("risks")
    return tuple(float(item["risk"]) for item in several) if several else (float(answer["risk"]),)


def read_example(bundle: Path) -> Example:
    """The known example of a bundle.

    Raises
    ------
    BundleError
        There is none, it is not as expected, or it is of another bundle.
    """
    path = example_file(bundle)
    if not path.is_file():
        raise BundleError(
            f"{path}: missing. Package the champion again (`dvc repro package@<cohort>`): it records one."
        )
    try:
        found = Example.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BundleError(f"{path}: not as expected ({error.error_count()} faults). Package it again.") from None
    if found.manifest != sha256_of_file(bundle / MANIFEST):
        raise BundleError(f"{path}: is the example of another bundle than the one beside it. Package it again.")
    return found
