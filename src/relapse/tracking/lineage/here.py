"""What a bundle's manifest says of data, declaration, settings and code, held against what lies here."""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from relapse.bundle.load import Description
from relapse.bundle.manifest import SourceRead
from relapse.cohorts.declared.source import Source
from relapse.cohorts.sources import InFile, fingerprint, path_of
from relapse.ground.declarations import read_yaml
from relapse.ground.errors import DeclarationError, SourceError
from relapse.ground.files import sha256_of_file
from relapse.ground.workspace import Workspace
from relapse.params import flat, read_params, recorded
from relapse.tracking.client import git
from relapse.tracking.lineage.facts import Fact, Step, compared

#: Told of a bundle that was made before these things were recorded.
_OLD = Fact("origin", "not recorded: the bundle is from before it was", None)


def results(found: Description, root: Path) -> Step:
    """The files of the run that the model and its decision rest on."""
    manifest, at = found.manifest, Workspace(found.manifest.cohort, root)
    facts = [_file("canonical table", manifest.table_hash, at.table)]
    if manifest.origin:
        facts += [
            _file("out-of-fold predictions", manifest.origin.predictions, at.predictions(manifest.candidate)),
            _file("evidence", manifest.origin.evidence, at.evidence),
        ]
    return Step("Results", (*facts, *([] if manifest.origin else [_OLD])))


def data(found: Description, root: Path) -> Step:
    """Each source, with what DVC knows of its file."""
    origin = found.manifest.origin
    if origin is None:
        return Step("Data", (_OLD,))
    sources = found.cohort.read_from
    return Step("Data", tuple(fact for read in origin.sources for fact in _source(read, sources.get(read.name), root)))


def declaration(found: Description, root: Path) -> Step:
    """The files of the declaration, and the commit that changed each last before the model was made."""
    origin, commit = found.manifest.origin, found.manifest.git_commit
    if origin is None:
        return Step("Declaration", (_OLD,))
    facts = []
    for name, digest in origin.declared.items():
        last = git(root, "log", "-1", "--format=%h of %cs", commit, "--", name) if commit else ""
        note = f"last changed by commit {last}" if last else ""
        facts.append(_file(name, f"sha256:{digest}", root / name, note=note))
    return Step("Declaration", tuple(facts))


def settings(found: Description, root: Path) -> Step:
    """Seed, budget and every setting of ``params.yaml``."""
    origin = found.manifest.origin
    if origin is None:
        return Step("Settings", (_OLD,))
    now = _params(root)
    facts = [
        compared(key, str(origin.params.get(key)), str(now.get(key)) if now is not None else None)
        for key in ("seed", "budget")
    ]
    rest, rest_now = (flat({**item, "seed": 0, "budget": ""}) for item in (origin.params, now or {}))
    told = f"{len(rest)} settings of params.yaml"
    if now is None:
        return Step("Settings", (*facts, Fact("params", told, "not here")))
    changed = [
        f"{key} {rest.get(key, 'not there')}, now {rest_now.get(key, 'not there')}"
        for key in dict.fromkeys([*rest, *rest_now])
        if rest.get(key) != rest_now.get(key)
    ]
    state = Fact("params", told, "differs now", "; ".join(changed)) if changed else Fact("params", told, "as recorded")
    return Step("Settings", (*facts, state))


def code(found: Description, root: Path) -> Step:
    """The commit of the code, whether it is known here, and whether it says all."""
    commit, origin = found.manifest.git_commit, found.manifest.origin
    if commit is None:
        return Step("Code", (Fact("commit", "none: the model was made outside git"),))
    head = git(root, "rev-parse", "HEAD")
    known = bool(git(root, "cat-file", "-t", commit))
    note = (
        "checked out now" if head == commit else f"checked out now: {head[:12]}" if head else "no git repository here"
    )
    facts = [Fact("commit", commit, "as recorded" if known else "not here", note)]
    if origin:
        said = "yes, which no commit holds" if origin.git_dirty else "none"
        facts.append(Fact("uncommitted changes", said))
    return Step("Code", tuple(facts))


def packages(found: Description) -> Step:
    """The distributions that the model needs, with the versions it was made with."""

    def installed(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    written = found.manifest.packages
    return Step("Packages", tuple(compared(name, number, installed(name)) for name, number in written.items()))


def _file(what: str, digest: str, path: Path, *, note: str = "") -> Fact:
    digest = digest if digest.startswith("sha256:") else f"sha256:{digest}"
    now = f"sha256:{sha256_of_file(path)}" if path.is_file() else None
    where = f"no {path.as_posix()}" if now is None else ""
    return compared(what, digest, now, note="; ".join(part for part in (note, where) if part))


def _source(read: SourceRead, source: Source | None, root: Path) -> list[Fact]:
    what = f"{read.name}: {read.where}" if read.name else read.where
    if source is None:
        return [Fact(what, read.fingerprint, "not here", "the bundle's declaration has no such source")]
    try:
        facts = [compared(what, read.fingerprint, fingerprint(source, root=root))]
    except (SourceError, PackageNotFoundError) as error:
        facts = [Fact(what, read.fingerprint, "not here", str(error).splitlines()[0])]
    return facts + (_followed(source, root) if isinstance(source, InFile) else [])


def _followed(source: InFile, root: Path) -> list[Fact]:
    """What the ``.dvc`` file beside a source's file says of it; nothing where DVC does not follow it."""
    try:
        path = path_of(source, root=root)
    except SourceError:
        return []
    beside = path.with_name(f"{path.name}.dvc")
    if not beside.is_file():
        return []
    try:
        (out, *_) = read_yaml(beside)["outs"]
        digest = str(out["md5"])
    except (DeclarationError, KeyError, TypeError, ValueError):
        return [Fact("DVC", f"{beside.as_posix()}: not readable")]
    what = f"DVC ({beside.as_posix()})"
    if not path.is_file():
        return [Fact(what, f"md5:{digest}", "not here", f"`dvc pull {beside.as_posix()}` brings the file")]
    with path.open("rb") as stream:
        now = hashlib.file_digest(stream, "md5").hexdigest()
    return [compared(what, f"md5:{digest}", f"md5:{now}")]


def _params(root: Path) -> dict[str, Any] | None:
    path = root / "params.yaml"
    return recorded(read_params(path)) if path.is_file() else None
