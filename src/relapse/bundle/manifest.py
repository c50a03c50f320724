"""The manifest of a bundle: what it is, what it was made from, and the digest of every file in it."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from relapse.cohorts.size import Sized
from relapse.ground.declarations import Declared
from relapse.ground.errors import BundleError
from relapse.ground.files import read_json
from relapse.imaging.films.parts import PARTS

#: Counted up whenever a bundle written before could no longer be read as meant.
FORMAT: Literal[3] = 3

MODEL = "model.skops"
DECLARATION = "cohort.yaml"
TRAINING = "training.json"
EVIDENCE = "evidence.json"
DECISION = "decision.json"
#: The model card, as :func:`relapse.documents.document_json` gives it.
CARD = "card.json"
#: The filled TRIPOD+AI checklist, in the same form.
CHECKLIST = "checklist.json"
#: Typical patients, distances and risk groups.
REFERENCE = "reference.json"
#: The same candidate fitted without a part of the patients, several times: how far its risks hang on who was there.
REFITS = "refits.skops"
#: What answers where a whole block of features is missing: the clinical reference, with what the champion has, too.
FALLBACK = "fallback.json"
FALLBACK_MODEL = "fallback.skops"
FALLBACK_REFITS = "fallback-refits.skops"
#: The frozen encoder of a model that looks at pictures, and how the training's pictures look.
TRUNK = "trunk.onnx"
FAMILIARITY = "familiarity.npz"
#: The parts of the reader of films, by their names in a bundle: where the cohort's features may be read from films.
FILM_READER = {f"film-{part}": part for part in PARTS}
#: What monitoring has to know of the training: counts by class; not in bundles from before it was kept.
MONITORING = "monitoring.json"
MANIFEST = "manifest.json"
#: Digest of the manifest itself, in the form that ``sha256sum --check`` reads.
SEAL = "manifest.sha256"

#: The files whose digests stand in the manifest.
CONTENT = (MODEL, DECLARATION, TRAINING, EVIDENCE, DECISION, CARD, CHECKLIST, REFERENCE, REFITS)

#: The files that stand there besides where the cohort declares blocks and the champion is not the reference itself.
FALLBACK_CONTENT = (FALLBACK, FALLBACK_MODEL, FALLBACK_REFITS)

#: And those where the champion looks at pictures.
EYES = (TRUNK, FAMILIARITY)

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


class SourceRead(Declared):
    """A source as ingest read it: its name among several, where it was declared to lie, what identifies its content."""

    name: str
    where: str
    fingerprint: str


class Origin(Declared):
    """What a model goes back to, beside what the manifest says itself.

    ``declared`` is the SHA-256 of the declaration's file, and of those it extends, by their paths; ``predictions`` and
    ``evidence`` are those of the files that the decision rests on; ``params`` is ``params.yaml`` with the budget put
    in. ``git_dirty`` says that the code had changes that no commit holds.
    """

    sources: tuple[SourceRead, ...]
    declared: dict[str, Digest]
    predictions: Digest
    evidence: Digest
    params: dict[str, Any]
    git_dirty: bool


class Manifest(Sized, Declared):
    """What is served.

    ``content_hash`` identifies what the model was made from; ``version`` is the name by which people tell it from
    others; ``table_hash`` is the SHA-256 of the table it was trained on; ``packages`` are the distributions that it
    needs, with the versions it was made with. ``events`` are rows with the event;
    ``patients_with_event`` is None in bundles from before they were counted, ``origin`` in those from before it was
    recorded.
    """

    format: Literal[3]
    cohort: str
    candidate: str
    title: str
    version: str
    content_hash: str
    git_commit: str | None
    table_hash: str
    rows: Count
    patients: Count
    events: Count
    patients_with_event: Count | None = None
    packages: dict[str, str]
    origin: Origin | None = None
    files: dict[str, Digest]

    @property
    def name(self) -> str:
        """The name of the model in the registry and in every answer of the service."""
        return f"relapse-{self.cohort}"


def read_manifest(folder: Path) -> Manifest:
    """Read a bundle's manifest.

    Raises
    ------
    BundleError
        No bundle there, not JSON, of another format, or a key missing or unknown.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder}: no bundle, {MANIFEST} is missing. Write one with the pipeline's package stage.")
    try:
        content: Any = read_json(path)
    except ValueError:
        raise BundleError(f"{path}: not readable as JSON. Write the bundle again.") from None
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise BundleError(
            f"{path}: format {found!r}; this version of relapse reads format {FORMAT}. "
            "Serve the bundle with the version that wrote it, or write it again."
        )
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        keys = ", ".join(".".join(str(part) for part in item["loc"]) for item in error.errors())
        raise BundleError(f"{path}: not as expected at {keys}. Write the bundle again.") from None


def seal(digest: str) -> str:
    """The content of the seal for a manifest of this SHA-256."""
    return f"{digest}  {MANIFEST}\n"
