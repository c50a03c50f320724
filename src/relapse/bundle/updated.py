"""The bundle of an updated model: the champion's own, with its risks moved and the patients that moved them told."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relapse.bundle.load import load_bundle
from relapse.bundle.manifest import (
    CARD,
    DECISION,
    EVIDENCE,
    MANIFEST,
    MODEL,
    MONITORING,
    REFERENCE,
    REFITS,
    SEAL,
    Manifest,
    Origin,
    seal,
)
from relapse.bundle.model_file import dump_model, dump_models
from relapse.bundle.monitoring import monitor
from relapse.bundle.summary import check_metrics
from relapse.documents import Document, Section, document_json
from relapse.ground.files import sha256_of_file, write_json, write_text

if TYPE_CHECKING:
    import pandas as pd

    from relapse.candidates.risk_model import Shift


@dataclass(frozen=True, slots=True)
class NewPatients:
    """On whom a model was updated: the cohort's name and fingerprint of its source, and a row a patient.

    ``known`` has the model's features, ``row``, ``patient``, ``event``, ``time`` where there is one, and the
    cross-fitted ``risk`` at the first horizon.
    """

    cohort: str
    where: str
    fingerprint: str
    known: "pd.DataFrame"


def write_updated(
    folder: Path,
    champion: Path,
    *,
    shift: "Shift",
    patients: NewPatients,
    metrics: Sequence[dict[str, Any]],
    decision: dict[str, Any],
    said: Sequence[str],
    content_hash: str,
    git_commit: str | None,
    origin: Origin | None,
) -> Manifest:
    """Write the bundle of an updated champion into ``folder``.

    Model and refits are moved alike, risk groups with them, so that everybody stays in her group. What served patients
    are held against becomes the new patients, whom the update was made for; what the model has seen of values stays
    that of its training.

    Parameters
    ----------
    champion
        The champion's bundle.
    metrics
        Of the cross-fitted predictions of the new patients.
    said
        What the model card says of the update, a paragraph each.
    """
    found = load_bundle(champion)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        new = Path(scratch) / "new"
        shutil.copytree(champion, new)
        model = found.model.shifted(shift)
        dump_model(model, new / MODEL)
        dump_models([item.shifted(shift) for item in found.refits], new / REFITS)
        write_json(new / EVIDENCE, [item.model_dump() for item in check_metrics(list(metrics))])
        write_json(new / DECISION, decision)
        section = Section(f"Update on {patients.cohort}", tuple(said))
        write_text(new / CARD, document_json(Document(found.card.title, (*found.card.sections, section))))
        reference = found.reference
        if reference.groups:
            lower, upper = (_moved(edge, found.cohort.survival is not None, shift) for edge in reference.groups)
            reference = reference.model_copy(update={"groups": (lower, upper)})
        write_json(new / REFERENCE, reference.model_dump())
        files = list(found.manifest.files)
        if MONITORING in files:
            made = monitor(
                patients.known.drop(columns="risk"),
                found.cohort,
                patients.known[["row", "risk"]],
                threshold=model.threshold,
            )
            write_json(new / MONITORING, made.model_dump())
        manifest = found.manifest.model_copy(
            update={
                "version": content_hash[:12],
                "content_hash": content_hash,
                "git_commit": git_commit,
                "origin": origin,
                "files": {name: sha256_of_file(new / name) for name in files},
            }
        )
        write_json(new / MANIFEST, manifest.model_dump())
        (new / SEAL).write_text(seal(sha256_of_file(new / MANIFEST)), encoding="utf-8")
        new.rename(folder)
    return manifest


def _moved(risk: float, timed: bool, shift: "Shift") -> float:
    """A risk by the last horizon after the update: there the score of a survival model is its log cumulative hazard."""
    import numpy as np

    value = np.array([risk])
    if not timed:
        return float(shift.odds(value)[0])
    score = np.log(-np.log1p(-np.clip(value, 1e-12, 1 - 1e-12)))
    return float(shift.hazards(value[:, None], score)[0, 0])
