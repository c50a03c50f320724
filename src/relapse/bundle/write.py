"""Writing a bundle: complete, or not at all."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relapse.bundle.eyes import write_eyes
from relapse.bundle.fallback import ToFallBackOn, write_fallback
from relapse.bundle.films import NEEDED, write_reader
from relapse.bundle.manifest import (
    CARD,
    CHECKLIST,
    CONTENT,
    DECISION,
    DECLARATION,
    EVIDENCE,
    FALLBACK_CONTENT,
    FALLBACK_MODEL,
    FORMAT,
    MANIFEST,
    MODEL,
    MONITORING,
    REFERENCE,
    REFITS,
    SEAL,
    TRAINING,
    Manifest,
    Origin,
    seal,
)
from relapse.bundle.model_file import dump_models, installed, load_model, needed_packages
from relapse.bundle.monitoring import monitor
from relapse.bundle.reference import refer
from relapse.bundle.summary import check_metrics, summarise
from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.size import counts
from relapse.documents import Document, document_json
from relapse.ground.files import sha256_of_file, write_json, write_text

if TYPE_CHECKING:
    import pandas as pd


def write_bundle(
    folder: Path,
    *,
    model: Path,
    declaration: Path,
    table: "pd.DataFrame",
    candidate: str,
    title: str,
    content_hash: str,
    table_hash: str,
    git_commit: str | None,
    metrics: list[dict[str, Any]],
    decision: dict[str, Any],
    card: Document,
    checklist: Document,
    risks: Sequence[float] = (),
    refits: Sequence[Path] = (),
    fallback: ToFallBackOn | None = None,
    version: str | None = None,
    film_reader: Path | None = None,
    origin: Origin | None = None,
    out_of_fold: "pd.DataFrame | None" = None,
) -> Manifest:
    """Write what is served into ``folder``, replacing what was there.

    Parameters
    ----------
    model
        A file written by :func:`relapse.bundle.model_file.dump_model`.
    declaration
        The cohort's YAML file, copied as it is.
    table
        The typed canonical table that the model was trained on. Only its summary goes into the bundle.
    candidate, title
        The family's name, and its name for people.
    content_hash
        Identifies what the model was made from.
    table_hash
        SHA-256 of the table's file.
    metrics
        Dicts with the keys ``key``, ``label``, ``value``, ``lower``, ``upper``.
    decision
        Why this model is served, as JSON values.
    card, checklist
        The model card and the filled TRIPOD+AI checklist.
    risks
        Out-of-fold risks, which part patients into groups; none give no groups.
    refits
        Files of the same candidate fitted without a part of the patients, each part once; none give no intervals.
    fallback
        The clinical reference, where :func:`relapse.bundle.fallback.needs_fallback` says so.
    version
        The name by which people tell this model from others; the first 12 characters of ``content_hash`` by default.
    film_reader
        Folder of the reader of films, where the cohort declares films.
    origin
        What the model goes back to, beside table, declaration and commit.
    out_of_fold
        Columns ``row`` and ``risk``, at the first horizon where the endpoint has a time: what served patients are held
        against. Without it the model cannot be monitored.

    Raises
    ------
    BundleError
        The model file cannot be loaded here, so nobody could serve it.
    SourceError
        The reader of films is not there.
    """
    cohort, found = read_cohort(declaration), counts(table)
    load_model(model)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        shutil.copyfile(model, new / MODEL)
        shutil.copyfile(declaration, new / DECLARATION)
        write_json(new / TRAINING, {name: item.model_dump() for name, item in summarise(table, cohort).items()})
        write_json(new / EVIDENCE, [item.model_dump() for item in check_metrics(metrics)])
        write_json(new / DECISION, decision)
        write_text(new / CARD, document_json(card))
        write_text(new / CHECKLIST, document_json(checklist))
        write_json(new / REFERENCE, refer(table, cohort, risks=risks).model_dump())
        dump_models([load_model(path) for path in refits], new / REFITS)
        files, packages = [*CONTENT], needed_packages(model)
        if fallback:
            write_fallback(new, fallback, table, cohort)
            files += FALLBACK_CONTENT
            packages = dict(sorted((packages | needed_packages(new / FALLBACK_MODEL)).items()))
        files += write_eyes(new, load_model(model), table)
        if out_of_fold is not None:
            made = monitor(table, cohort, out_of_fold, threshold=load_model(model).threshold)
            write_json(new / MONITORING, made.model_dump())
            files += [MONITORING]
        if film_reader:
            files += write_reader(new, film_reader)
            packages = dict(sorted((packages | installed(NEEDED)).items()))
        manifest = Manifest(
            format=FORMAT,
            cohort=cohort.name,
            candidate=candidate,
            title=title,
            version=version or content_hash[:12],
            content_hash=content_hash,
            git_commit=git_commit,
            table_hash=table_hash,
            rows=found.rows,
            patients=found.patients,
            events=found.rows_with_event,
            patients_with_event=found.with_event,
            packages=packages,
            origin=origin,
            files={name: sha256_of_file(new / name) for name in files},
        )
        write_json(new / MANIFEST, manifest.model_dump())
        (new / SEAL).write_text(seal(sha256_of_file(new / MANIFEST)), encoding="utf-8")
        # A folder cannot be renamed over a full one: the old one steps aside first, so that none is ever half written.
        if folder.exists():
            folder.rename(Path(scratch) / "old")
        new.rename(folder)
    return manifest
