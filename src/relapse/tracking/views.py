"""What MLflow's UI shows first: the candidates of the latest state side by side, and addresses that lead there.

Without a saved view the UI shows a state as one folded row and no metric. A shared view is a tag of the experiment that
holds the UI's own state as JSON; the UI unfolds rows once they are sorted by a metric or searched for.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from relapse.tracking.client import experiment_of, is_active
from relapse.tracking.registry.models import PARENT, champion_version, model_name

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: The name of the view, as its address has it, and the tag that the UI looks for.
VIEW = "candidates"
TAG = f"mlflow.sharedViewState.{VIEW}"

#: The UI begins with what is for chat applications, whatever an experiment says of itself.
_TRAINING = "workflowType=machine_learning"

#: What an experiment says of itself, where people have written nothing else.
_NOTE = "mlflow.note.content"


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses of one cohort's candidates, their comparison, their models, the champion; empty where there is none."""

    candidates: str
    comparison: str
    models: str
    champion: str


def save_view(client: "MlflowClient", experiment_id: str, cohort: str, parent: str, *, primary: str) -> None:
    """Make the view show the candidates of the state whose run is ``parent``, the best by ``primary`` first."""
    # Widths in pixels: names have to be told apart.
    widths = dict.fromkeys((primary, f"{primary}_lower", f"{primary}_upper"), 130)
    widths |= {f"difference_to_reference{end}": 200 for end in ("", "_p_holm", "_lower", "_upper", "_p")}
    columns = {f"metrics.`{name}`": width for name, width in widths.items()}
    state = {
        "searchFilter": f"tags.`{PARENT}` = '{parent}'",
        "orderByKey": f"metrics.`{primary}`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": list(columns),
        "columnOrder": list(columns),
        "columnWidths": columns,
    }
    client.set_experiment_tag(experiment_id, TAG, json.dumps(state))
    if _NOTE not in client.get_experiment(experiment_id).tags:
        note = (
            f"Relapse models of the cohort {cohort}. A run is a state of the pipeline, and the runs below it are its "
            f"candidates: [those of the latest, the best first]({_candidates(experiment_id)})."
        )
        client.set_experiment_tag(experiment_id, _NOTE, note)


def links(client: "MlflowClient", cohort: str, address: str) -> Links | None:
    """Where the UI at ``address`` shows a cohort; None where it has no experiment."""
    found = experiment_of(client, cohort)
    if found is None or not is_active(found):
        return None
    view = json.loads(found.tags.get(TAG, "{}"))
    candidates = _candidates(found.experiment_id) if view else f"#/experiments/{found.experiment_id}/runs"
    comparison = ""
    if view:
        shown = client.search_runs([found.experiment_id], view["searchFilter"])
        comparison = f"{address}/{compared([run.info.run_id for run in shown], found.experiment_id)}"
    champion = champion_version(client, cohort)
    return Links(
        candidates=f"{address}/{candidates}",
        comparison=comparison,
        models=f"{address}/#/experiments/{found.experiment_id}/models?{_TRAINING}",
        champion=f"{address}/#/models/{model_name(cohort)}/versions/{champion.version}" if champion else "",
    )


def compared(run_ids: Sequence[str], experiment_id: str) -> str:
    """Where the UI compares runs, below its address."""
    runs, experiments = json.dumps(list(run_ids)), json.dumps([experiment_id])
    return f"#/compare-runs?runs={quote(runs)}&experiments={quote(experiments)}"


def _candidates(experiment_id: str) -> str:
    return f"#/experiments/{experiment_id}/runs?viewStateShareKey={VIEW}&{_TRAINING}"
