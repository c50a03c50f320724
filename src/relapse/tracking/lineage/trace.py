"""The way back from a model, as the registry, its bundle and what lies here tell it."""

import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from relapse.bundle.load import Description, describe_bundle
from relapse.bundle.manifest import MANIFEST, Manifest
from relapse.ground.errors import BundleError, RegistryError
from relapse.ground.files import sha256_of_file
from relapse.machinery import Machinery, own_registry
from relapse.tracking.client import address, connect, is_active
from relapse.tracking.lineage import here
from relapse.tracking.lineage.facts import Fact, Lineage, Step, compared
from relapse.tracking.registry.models import (
    CONTENT,
    PARENT,
    fetch_version,
    model_called,
    model_name,
    registered,
    version_called,
)
from relapse.tracking.registry.records import Move, history

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

#: Where a Bento holds the bundle.
_IN_A_BENTO = "src/bundle"


def trace(model: str, machinery: Machinery, *, root: Path = Path()) -> Lineage:
    """The way back from a model to the files it was made from, each held against what lies here.

    Parameters
    ----------
    model
        ``relapse-<cohort>@champion`` or ``relapse-<cohort>/3``, also with ``models:/`` before it; a bundle's folder; a
        Bento's file, or its tag.

    Raises
    ------
    RegistryError
        It is none of these, or the registry has none of that name.
    BundleError
        The bundle is not as it was written.
    """
    with _bundle(model, machinery, root) as (folder, version):
        found, digest = describe_bundle(folder), sha256_of_file(folder / MANIFEST)
        client = _client(machinery, root)
        version = version or (_registered(client, found.manifest) if client else None)
        manifest = found.manifest
        number = f" version {version.version}" if version else ""
        return Lineage(
            f"{manifest.name}{number}: {manifest.title}",
            (
                _model(found, digest),
                _decision(client, found, version, digest, root),
                _run(client, manifest, version),
                here.results(found, root),
                here.settings(found, root),
                here.data(found, root),
                here.declaration(found, root),
                here.code(found, root),
                here.packages(found),
            ),
        )


@contextmanager
def _bundle(model: str, machinery: Machinery, root: Path) -> "Iterator[tuple[Path, ModelVersion | None]]":
    """The bundle of a model, and its version where the registry was asked for it."""
    path = Path(model)
    if (path / MANIFEST).is_file():
        yield path, None
    elif path.suffix == ".bento" and path.is_file():
        with tempfile.TemporaryDirectory() as scratch:
            yield _unpacked(path, Path(scratch)), None
    elif (kept := _kept_bento(model, root)) is not None:
        yield kept, None
    else:
        cohort, name = model_called(model)
        client = _client(machinery, root)
        if client is None:
            raise RegistryError(f"{model}: there is no registry here, {own_registry(root)}, to ask for it.")
        version = version_called(client, cohort, name)
        with tempfile.TemporaryDirectory() as scratch:
            fetch_version(version, Path(scratch) / "bundle")
            yield Path(scratch) / "bundle", version


def _unpacked(bento: Path, scratch: Path) -> Path:
    try:
        with tarfile.open(bento) as archive:
            inside = [item for item in archive.getmembers() if f"{_IN_A_BENTO}/" in f"{item.name}/"]
            archive.extractall(scratch, inside, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise BundleError(f"{bento}: not readable as a Bento ({type(error).__name__}).") from None
    return scratch / _IN_A_BENTO


def _kept_bento(tag: str, root: Path) -> Path | None:
    """The bundle in a Bento of this tag that BentoML keeps here."""
    name, _, number = tag.partition(":")
    home = Path(os.environ.get("BENTOML_HOME") or root / ".cache" / "bentoml")
    folder = home / "bentos" / name / number / _IN_A_BENTO
    plain = name.isidentifier() and number.isalnum()
    return folder if plain and (folder / MANIFEST).is_file() else None


def _client(machinery: Machinery, root: Path) -> "MlflowClient | None":
    """MLflow; None where it would be the project's own and is not there, since asking would make it."""
    own = own_registry(root)
    if machinery.tracking_uri == own and not Path(own.removeprefix("sqlite:///")).is_file():
        return None
    return connect(machinery)


def _registered(client: "MlflowClient", manifest: Manifest) -> "ModelVersion | None":
    """The newest version that was made from the same."""
    found = client.search_model_versions(f"name = '{model_name(manifest.cohort)}'")
    mine = [item for item in found if item.tags.get(CONTENT) == manifest.content_hash]
    return max(mine, key=lambda item: int(item.version), default=None)


def _model(found: Description, digest: str) -> Step:
    manifest = found.manifest
    return Step(
        "Model",
        (
            Fact("name", manifest.name),
            Fact("version", manifest.version),
            Fact("candidate", f"{manifest.candidate}, {manifest.title}"),
            Fact("made from (content hash)", manifest.content_hash),
            Fact("patients", f"{manifest.patients}, {manifest.rows} rows"),
            Fact("bundle (SHA-256 of its manifest)", digest, "as recorded", f"its {len(manifest.files)} files, too"),
        ),
    )


def _decision(
    client: "MlflowClient | None", found: Description, version: "ModelVersion | None", digest: str, root: Path
) -> Step:
    facts = [Fact("decision", str(found.decision.get("summary", "none")))]
    if client is None or version is None:
        return Step("Decision", (*facts, Fact("registry", "not recorded in the bundle", "not here")))
    cohort, number = found.manifest.cohort, str(version.version)
    model = registered(client, cohort)
    aliases = sorted(alias for alias, on in (model.aliases if model else {}).items() if str(on) == number)
    facts.append(Fact("registry", f"version {number}, " + (", ".join(aliases) or "without an alias")))
    for move in history(client, cohort, root=root):
        if move.to.version == number:
            facts.append(_moved(move, digest))
    if len(facts) == 2:
        facts.append(Fact("promotion", "none: it was never champion"))
    return Step("Decision", tuple(facts))


def _moved(move: Move, digest: str) -> Fact:
    told = f"{move.when} by {move.who}: {move.reason}"
    same = move.to.bundle == digest
    note = "" if same else "the record names another bundle"
    return Fact(f"{move.action} (record {move.number})", told, "as recorded" if same else "differs now", note)


def _run(client: "MlflowClient | None", manifest: Manifest, version: "ModelVersion | None") -> Step:
    if client is None or version is None:
        return Step("MLflow", (Fact("run", "not recorded in the bundle", "not here"),))
    child = _run_of(client, str(version.run_id))
    facts = [Fact("at", address(client))]
    if child is None:
        return Step("MLflow", (*facts, Fact("run", str(version.run_id), "not here")))
    facts.append(Fact("run", f"{child.info.run_id}, {child.info.run_name}", "as recorded"))
    if parent := child.data.tags.get(PARENT):
        there = _run_of(client, parent)
        facts.append(Fact("run of the whole", parent, "as recorded" if there else "not here"))
    facts.append(compared("content hash", manifest.content_hash, child.data.tags.get(CONTENT)))
    return Step("MLflow", tuple(facts))


def _run_of(client: "MlflowClient", run_id: str) -> "Run | None":
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException:
        return None
    return run if is_active(run.info) else None
