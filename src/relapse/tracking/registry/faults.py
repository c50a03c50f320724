"""What does not fit together: records on disk and in MLflow, registry, runs, receipts, each held against the others."""

from pathlib import Path
from typing import TYPE_CHECKING

from relapse.ground.errors import BundleError, RegistryError
from relapse.ground.files import sha256_of_text
from relapse.ground.workspace import Workspace
from relapse.tracking.client import OWN, address, deleted_experiment, experiment_of, is_active, to_repair
from relapse.tracking.registry.lifecycle import Fault, deletions
from relapse.tracking.registry.models import (
    CANDIDATE,
    CHALLENGER,
    CHAMPION,
    CONTENT,
    PREVIOUS,
    has_alias,
    identity,
    model_name,
    registered,
    version_called,
)
from relapse.tracking.registry.moves import digest_of
from relapse.tracking.registry.receipts import lost_record, receipt, told
from relapse.tracking.registry.records import TAG, Record, last_move, record_file, recorded, unfinished
from relapse.tracking.registry.restore import foreign, is_ours, missing, renamed
from relapse.tracking.registry.versions import published_states, without_model

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ROLES = {CHAMPION: "champion", PREVIOUS: "previous champion", CHALLENGER: "challenger"}


def faults(client: "MlflowClient", cohort: str, *, root: Path = Path()) -> list[Fault]:
    """Everything that does not fit, in the order in which it is best put right."""
    records = recorded(client, cohort, root=root)
    found = [*_experiment(client, cohort), *_model(client, cohort, records, root)]
    if registered(client, cohort) is not None and not found:
        found += [
            *_published(client, cohort, root),
            *_models(client, cohort, root),
            *_aliases(client, cohort, root),
            *_versions(client, cohort),
            *_bundles(client, cohort, records),
        ]
    found += [*_chain(records), *(fault for record in records for fault in _record(client, cohort, record, root))]
    found += _lost(client, cohort, records, root)
    return list(dict.fromkeys([*found, *_receipt(client, cohort, root)]))


def standing_faults(client: "MlflowClient", cohort: str, *, root: Path = Path()) -> list[Fault]:
    """What would let the pipeline serve, or hold candidates against, another champion than that of the records."""
    records = recorded(client, cohort, root=root, only_last=True)
    if found := [*_experiment(client, cohort), *_lost(client, cohort, records, root)]:
        return found
    # A registered model that was deleted was brought back before, or is made when what it is to hold is published.
    if registered(client, cohort) is None:
        return []
    if found := _model(client, cohort, records, root):
        return found
    champion = [CHAMPION] if has_alias(client, cohort, CHAMPION) else []
    unread = [fault for record in records[-1:] for fault in _record(client, cohort, record, root)]
    lost = [fault for fault in unread if records[-1].move is None or records[-1].entry is None]
    return lost or [*_aliases(client, cohort, root), *_versions(client, cohort, champion)]


def lost_versions(client: "MlflowClient", cohort: str, *, root: Path = Path()) -> list[str]:
    """What is told of earlier champions that are no longer registered: no fault, since nothing needs them."""
    records = recorded(client, cohort, root=root)
    last = records[-1].move if records else None
    if last is None or registered(client, cohort) is None:
        return []
    numbers = {record.move.to.version: record.number for record in records if record.move}
    kept = {last.to.version, last.previous}
    return [
        f"version {version}, champion by record {number}, is no longer registered; nothing needs it."
        for version, number in numbers.items()
        if version not in kept and not has_alias(client, cohort, version)
    ]


def _experiment(client: "MlflowClient", cohort: str) -> list[Fault]:
    found = experiment_of(client, cohort)
    if found is None or is_active(found):
        return []
    return [Fault("M001", deleted_experiment(found), f"{to_repair(cohort)} restores it.")]


def _model(client: "MlflowClient", cohort: str, records: list[Record], root: Path) -> list[Fault]:
    """The registered model as a whole."""
    name, here = model_name(cohort), told(client, cohort, root=root)
    if registered(client, cohort) is not None:
        return [] if not records or is_ours(client, cohort, records) else [Fault("M004", foreign(cohort), "")]
    if other := renamed(client, cohort, records):
        return [
            Fault(
                "M003", f"{name} was renamed to {other.name} in MLflow.", f"{to_repair(cohort)} gives it its name back."
            )
        ]
    if not records and not here:
        return []
    last = records[-1].move if records else None
    who = f"by record {last.number} version {last.to.version} is champion" if last else "it has records, or a receipt"
    return [
        Fault(
            "M002",
            f"{name} is not registered at {address(client, root)}, and {who}: it was deleted in MLflow.",
            f"`dvc repro register@{cohort}` or {to_repair(cohort)} registers it again from its runs.",
        )
    ]


def _models(client: "MlflowClient", cohort: str, root: Path) -> list[Fault]:
    """The logged models of the candidates of the state that the receipt says was published."""
    content, where = told(client, cohort, root=root).get("published"), experiment_of(client, cohort)
    if content is None or where is None:
        return []
    gone = [
        run.data.tags[CANDIDATE]
        for state in published_states(client, where.experiment_id, f"tags.`{CONTENT}` = '{content}'")
        if is_active(state.parent.info)
        for run in without_model(client, state)
    ]
    if not gone:
        return []
    said = f"Of {', '.join(gone)} in the state published last there is no logged model: MLflow's Models tab lacks it."
    return [Fault("M014", said, f"`dvc repro register@{cohort}` logs it again.")]


def _published(client: "MlflowClient", cohort: str, root: Path) -> list[Fault]:
    """The version of the state that the receipt says was published."""
    content = told(client, cohort, root=root).get("published")
    versions = client.search_model_versions(f"name = '{model_name(cohort)}'")
    if content is None or any(version.tags.get(CONTENT) == content for version in versions):
        return []
    said = f"The version of the state published last (content {str(content)[:12]}) was deleted in MLflow."
    return [Fault("M007", said, f"`dvc repro register@{cohort}` registers it again.")]


def _aliases(client: "MlflowClient", cohort: str, root: Path) -> list[Fault]:
    try:
        last = last_move(client, cohort, root=root)
    except RegistryError:
        return []
    if last and (gone := missing(client, cohort, last)):
        who = {last.previous: "previous champion", last.to.version: "champion"}
        return [
            Fault(
                "M007",
                f"Version {number}, by record {last.number} the {who[number]}, was deleted in MLflow.",
                f"`dvc repro register@{cohort}` or {to_repair(cohort)} registers its bundle again.",
            )
            for number in gone
        ]
    cut_short = unfinished(client, cohort, last)
    return [Fault("M006", cut_short, "")] if cut_short else []


def _versions(client: "MlflowClient", cohort: str, aliases: list[str] | None = None) -> list[Fault]:
    """What stands behind the versions with an alias."""
    found = []
    for name in [name for name in _ROLES if has_alias(client, cohort, name)] if aliases is None else aliases:
        version = version_called(client, cohort, name)
        try:
            identity(version)
        except RegistryError as error:
            found.append(Fault("M004", str(error), ""))
        else:
            found += deletions(client, cohort, version, _ROLES[name])
    return found


def _bundles(client: "MlflowClient", cohort: str, records: list[Record]) -> list[Fault]:
    """Every registered version that was ever promoted, and the challenger: its bundle, and its tags."""
    places = {record.move.to.version: record.move.to for record in records if record.move}
    numbers = [number for number in places if has_alias(client, cohort, number)]
    if has_alias(client, cohort, CHALLENGER):
        numbers.append(str(version_called(client, cohort, CHALLENGER).version))
    found = []
    for number in dict.fromkeys(numbers):
        version, place = version_called(client, cohort, number), places.get(number)
        try:
            if (digest := digest_of(version)) and place and digest != place.bundle:
                said = "its bundle is not the one that was promoted."
                found.append(Fault("M011", f"Version {number}: {said}", "Restore MLflow's artifacts from a backup."))
        except BundleError as error:
            found.append(Fault("M011", f"Version {number}: {error}", ""))
        except RegistryError as error:
            found.append(Fault("M011", str(error), ""))
        if place and (version.tags.get(CANDIDATE), version.tags.get(CONTENT)) != (place.candidate, place.content_hash):
            said = f"its tags {CANDIDATE} and {CONTENT} are not those of its record."
            found.append(Fault("M012", f"Version {number}: {said}", f"{to_repair(cohort)} sets them."))
    return found


def _chain(records: list[Record]) -> list[Fault]:
    """Whether every record continues the one before it."""
    found, before = [], Record(0, None, None, None, None)
    for record in records:
        for number in range(before.number + 1, record.number):
            said = f"record {number} is missing: nothing names or holds it."
            found.append(Fault("M005", said, "Restore MLflow's database and artifacts from a backup."))
        if record.number == before.number + 1 and record.move and record.move.before != before.digest:
            said = f"record {record.number}: does not continue the one before it."
            found.append(Fault("M005", said, "Restore MLflow's database and artifacts from a backup."))
        before = record
    return found


def _record(client: "MlflowClient", cohort: str, record: Record, root: Path) -> list[Fault]:
    """Whether a record is named, and whole in both places."""
    found, number, digest = [], record.number, record.digest
    backup = "Restore it from a backup."
    if record.entry is None and registered(client, cohort) is not None:
        said = f"record {number}: the registered model does not name it (tag {TAG}{number:04})."
        found.append(Fault("M005", said, f"{to_repair(cohort)} names it again." if record.move else backup))
    path, own = record_file(client, cohort, number, root=root), address(client, root) == OWN
    for text, where, needed in ((record.artifact, "MLflow's artifacts", True), (record.copy, str(path), own)):
        if text is None and needed:
            said = f"record {number}: missing in {where}."
        elif text is not None and sha256_of_text(text) != digest:
            said = f"record {number}: altered in {where}."
        else:
            continue
        found.append(Fault("M005", said, f"{to_repair(cohort)} writes it again." if record.move else backup))
    return found


def _lost(client: "MlflowClient", cohort: str, records: list[Record], root: Path) -> list[Fault]:
    said = lost_record(client, cohort, records, root=root)
    return [Fault("M005", said, "Restore mlruns/ or MLflow's artifacts from a backup.")] if said else []


def _receipt(client: "MlflowClient", cohort: str, root: Path) -> list[Fault]:
    path, here = Workspace(cohort, root).published, told(client, cohort, root=root)
    remedy = f"`dvc repro register@{cohort}` writes it again."
    if not here:
        if address(client, root) != OWN or registered(client, cohort) is None:
            return []
        return [Fault("M013", f"{path}: there is no receipt of this registry.", remedy)]
    try:
        now = receipt(client, cohort, str(here["published"]), root=root)
    except RegistryError as error:
        return [Fault("M004", str(error), "")]
    differing = [key for key in now if now[key] != here.get(key)]
    if not differing:
        return []
    return [Fault("M013", f"{path}: the registry now says otherwise of {', '.join(differing)}.", remedy)]
