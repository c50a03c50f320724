"""Versions of the registered model: making one of a logged model, and finding the run behind one."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from relapse.bundle.load import verify_bundle
from relapse.bundle.manifest import CARD, MANIFEST
from relapse.documents import Document, markdown, read_document
from relapse.ground.files import read_json, sha256_of_file
from relapse.tracking.client import is_active
from relapse.tracking.registry.logged import logged_models
from relapse.tracking.registry.models import CANDIDATE, PARENT, PROMOTED, model_name
from relapse.tracking.registry.records import STATE, WHOLE

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

#: Where the run of a pipeline state keeps its decision.
DECISION = "decision/decision.json"

#: Letters of a version's description. SQLite takes more, other databases refuse them.
_DESCRIPTION = 5000


@dataclass(frozen=True, slots=True)
class Published:
    """A pipeline state as MLflow holds it: its run, that of its challenger, and the version that this was given."""

    parent: "Run"
    child: "Run"
    version: str

    @property
    def tags(self) -> dict[str, str]:
        """The tags of its version."""
        kept = {name: text for name, text in self.child.data.tags.items() if name.startswith("relapse.")}
        return kept | {PROMOTED: self.parent.data.tags.get(PROMOTED, "false")}


def published_states(client: "MlflowClient", experiment_id: str, query: str = "") -> list[Published]:
    """The finished pipeline states of an experiment, oldest first, deleted ones among them.

    Parameters
    ----------
    query
        Narrows them down, as MLflow's search has it.
    """
    from mlflow.entities import ViewType

    asked = " and ".join([f"tags.`{STATE}` = '{WHOLE}'", *([query] if query else [])])
    runs = client.search_runs([experiment_id], asked, ViewType.ALL, order_by=["attributes.start_time ASC"])
    found = [_published(client, run) for run in runs if run.info.status == "FINISHED"]
    # Numbers of versions only rise; a clock can be moved back.
    return sorted([state for state in found if state], key=lambda state: int(state.version))


def _published(client: "MlflowClient", parent: "Run") -> Published | None:
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as scratch:
        try:
            decision = read_json(Path(client.download_artifacts(parent.info.run_id, DECISION, scratch)))
        except (MlflowException, OSError, ValueError):
            return None
    children = [run for run in family(client, parent) if run.data.tags.get(CANDIDATE) == decision["challenger"]]
    return Published(parent, children[-1], str(decision["challenger_version"])) if children else None


def family(client: "MlflowClient", parent: "Run") -> "list[Run]":
    """The runs below a run, deleted ones among them."""
    from mlflow.entities import ViewType

    query = f"tags.`{PARENT}` = '{parent.info.run_id}'"
    return list(client.search_runs([parent.info.experiment_id], query, ViewType.ALL))


def without_model(client: "MlflowClient", state: Published) -> "list[Run]":
    """The runs of a state's candidates that have no logged model, that of its challenger left out."""
    return [
        run
        for run in family(client, state.parent)
        if CANDIDATE in run.data.tags
        and is_active(run.info)
        and run.info.status == "FINISHED"
        and run.info.run_id != state.child.info.run_id
        and not logged_models(client, run)
    ]


def version_of(client: "MlflowClient", cohort: str, child: "Run") -> "ModelVersion | None":
    """The version registered last of what a run made, None where the registry has none."""
    found = client.search_model_versions(f"run_id = '{child.info.run_id}'")
    mine = [item for item in found if item.name == model_name(cohort)]
    return max(mine, key=lambda item: int(item.version), default=None)


def source_model(version: "ModelVersion") -> str:
    """The id of the logged model that a version was registered from; empty where it was made from something else."""
    source = version.source or ""
    return source.rpartition("/")[2] if source.startswith("models:/m-") else ""


def create_model(client: "MlflowClient", name: str, tags: dict[str, str] | None = None) -> None:
    """Make a registered model without a version."""
    client.create_registered_model(name, tags, "The candidates put forward for this cohort, one version each.")


def create_version(
    client: "MlflowClient", name: str, model_id: str, run_id: str, *, tags: dict[str, str], card: Document, new: bool
) -> str:
    """Register a logged model; returns the number it was given.

    ``new`` marks the logged model with that number, too.
    """
    made = client.create_model_version(
        name,
        f"models:/{model_id}",
        run_id,
        tags=tags,
        description=_described(card),
        model_id=model_id if new else None,
    )
    if new:
        # A server does this by itself, a file does not: where the UI lists logged models, it names the version.
        versions = json.dumps([{"name": name, "version": str(made.version)}])
        client.set_logged_model_tags(model_id, {"mlflow.modelVersions": versions})
    return str(made.version)


def bundle_digest(folder: Path) -> str:
    """The SHA-256 of the manifest of a bundle that is whole.

    Raises
    ------
    BundleError
        It is not.
    """
    verify_bundle(folder)
    return sha256_of_file(folder / MANIFEST)


def card_of(bundle: Path) -> Document:
    """The model card in a bundle."""
    return read_document((bundle / CARD).read_bytes())


def _described(card: Document) -> str:
    """As much of the model card as a description of a version may hold, whole sections only."""
    for kept in range(len(card.sections), 0, -1):
        text = markdown(Document(card.title, card.sections[:kept]))
        if kept < len(card.sections):
            text += "\nThe rest stands in this version's run, in `report/model_card.md`.\n"
        if len(text) <= _DESCRIPTION:
            return text
    return f"# {card.title}\n\nSee `report/model_card.md` in this version's run.\n"
