"""The champion updated on new patients: from the closed test over the policy to a registered version."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relapse.bundle.load import Bundle
from relapse.bundle.updated import NewPatients
from relapse.candidates.catalogue import REFERENCE
from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.schema import Cohort
from relapse.cohorts.size import Folds
from relapse.cohorts.table import ingest, typed
from relapse.evaluation.evidence import endpoint_of, gather
from relapse.evaluation.statistics.calibration.updating import IN_THE_LARGE, REVISED, Update
from relapse.ground.console import say
from relapse.ground.errors import DeclarationError, RegistryError
from relapse.machinery import Machinery
from relapse.params import Params
from relapse.promotion.rival import Champion
from relapse.promotion.updates import decide_update
from relapse.quality.checks.context import Context
from relapse.quality.gate import check as gate
from relapse.tracking.changes.reviews import asks_for
from relapse.tracking.client import connect
from relapse.tracking.publishing.updates import content_of, differs, publish_update, reference_model
from relapse.tracking.registry.models import (
    CONTENT,
    PREDICTIONS,
    champion_version,
    download,
    identity,
    model_called,
    version_called,
)
from relapse.tracking.validation import find_model
from relapse.training.external import FOLDS, external_predictions
from relapse.training.updated import recalibrated

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def update_champion(
    model: str,
    cohort: Cohort,
    params: Params,
    machinery: Machinery,
    *,
    seen: "Callable[[pd.DataFrame, Cohort, Bundle], pd.DataFrame]",
    show: Callable[[Update], None],
    root: Path = Path(),
) -> dict[str, Any] | None:
    """Recalibrate a champion on the patients of another cohort; the decision, or None where nothing is asked for.

    Parameters
    ----------
    model
        ``relapse-<cohort>@champion``, or the version that is champion.
    seen
        From a table, its declaration and the bundle to the table with what the bundle's eyes see of the pictures.
    show
        Told of the closed test.

    Raises
    ------
    RegistryError
        It is not the champion, or this very update was registered before.
    DeclarationError
        The cohort is the one that it was trained on, or its features cannot be made to fit.
    GateError
        The new patients' table does not keep its declaration.
    """
    client = connect(machinery)
    version = version_called(client, *model_called(model))
    now = champion_version(client, model_called(model)[0])
    if now is None or str(now.version) != str(version.version):
        raise RegistryError(f"{model} is not the champion. Only a champion is updated: `relapse registry list`.")
    bundle, _ = find_model(model, machinery)
    if bundle.cohort.name == cohort.name:
        raise DeclarationError(
            f"{model} was trained on {cohort.name}. Declare the new patients as a cohort of their own, or add them to "
            "the table and train again (`make retrain`)."
        )
    raw, flow, cohort = ingest(cohort, root=root)
    judged = gate(raw, cohort, context=Context(folds=(Folds(FOLDS),), events_per_parameter=None))
    judged.require(source=flow.source)
    table = _newcomers(client, version, bundle, typed(raw, cohort), cohort)
    if bundle.eyes:
        table = seen(table, cohort, bundle)
    per = params.register_.events_per_parameter
    found = recalibrated(bundle.model, bundle.cohort, table, cohort, seed=params.seed, events_per_parameter=per)
    if found.update is None:
        say(f"{cohort.name}: patients with and without the event are needed. Nothing was registered.")
        return None
    show(found.update)
    if found.shift is None:
        say(f"{_nothing(found.update, bundle.cohort.name)} Nothing was registered.")
        return None
    content = content_of(version, found.shift, flow.fingerprint, cohort.name)
    if any(item.tags.get(CONTENT) == content for item in client.search_model_versions(f"name = '{version.name}'")):
        raise RegistryError(f"{version.name}: this very update on {cohort.name} is registered. Nothing was done.")
    name = bundle.manifest.candidate
    tables = {name: found.crossed}
    if name != REFERENCE:
        tables = {REFERENCE: _plain(reference_model(client, version, bundle), bundle, table, cohort, params), **tables}
    evidence = gather(
        tables, endpoint_of(cohort), cohort=cohort.name, resamples=params.evaluate.resamples, seed=params.seed
    )
    decision = decide_update(
        evidence,
        tables,
        Champion(identity(version), str(version.tags.get(CONTENT, "")), found.plain[["row", "score"]]),
        name=name,
        title=bundle.manifest.title,
        cohort=cohort,
        gate=judged.to_json(),
        update=found.update,
        moved=1 if found.update.chosen == IN_THE_LARGE else 2,
        gain=found.gain,
        content_hash=content,
        params=params.register_,
        seed=params.seed,
        changes=differs(
            client,
            version,
            bundle,
            params,
            chosen=found.update.chosen,
            shift=found.shift,
            cohort=cohort.name,
            root=root,
        ),
        trained_on=bundle.cohort.name,
    )
    if decision.promoted and decision.changes and decision.changes.to_review:
        said = f"{decision.summary} {asks_for(decision.changes, bundle.cohort.name)}"
        decision = replace(decision, summary=said)
    return publish_update(
        client,
        machinery,
        version,
        bundle,
        decision=decision,
        evidence=evidence,
        update=found.update,
        shift=found.shift,
        patients=NewPatients(cohort.name, flow.source, flow.fingerprint, found.known),
        predictions=tables,
        root=root,
    )


def _newcomers(
    client: "MlflowClient", version: "ModelVersion", bundle: Bundle, table: "pd.DataFrame", cohort: Cohort
) -> "pd.DataFrame":
    """The rows of patients whom the champion was not trained on; where either names no patients, all are taken."""
    import pandas as pd

    if cohort.patient is None or bundle.cohort.patient is None:
        return table
    with tempfile.TemporaryDirectory() as scratch:
        known = pd.read_parquet(download(client, version, PREDICTIONS, Path(scratch)), columns=["patient"])
    new = ~table["patient"].isin(known["patient"])
    if left := int(table.loc[~new, "patient"].nunique()):
        say(f"{left} patients are left out: {version.name} was trained on them.")
    if not new.any():
        raise DeclarationError(f"{cohort.name}: {version.name} was trained on every patient of it.")
    return table[new].reset_index(drop=True)


def _plain(model: RiskModel, bundle: Bundle, table: "pd.DataFrame", cohort: Cohort, params: Params) -> "pd.DataFrame":
    """Predictions of a model beside the champion, as it is."""
    return next(iter(external_predictions(model, bundle.cohort, table, cohort, seed=params.seed).values()))


def _nothing(update: Update, trained_on: str) -> str:
    if update.chosen == REVISED:
        return (
            "These patients ask for other weights, which a recalibration cannot give: add them to the table of "
            f"{trained_on} and train again (`make retrain`), which promotes by the same policy."
        )
    return f"These patients ask for the model {update.chosen}, or no finite update that keeps the order of patients."
