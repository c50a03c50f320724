"""What an answer says where a value is missing: by the rule of the model that answers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sklearn.pipeline import Pipeline

from relapse.bundle.summary import Summary
from relapse.candidates.base import SurvivalModel
from relapse.cohorts.declared.features import Numeric
from relapse.cohorts.schema import Cohort
from relapse.preprocessing.harmonising import SITE
from relapse.preprocessing.iterative import by_columns
from relapse.preprocessing.lacking import Lacking
from relapse.preprocessing.transformers import FILL
from relapse.preprocessing.treatment import Done, Treatment, treatments
from relapse.serving.contract import Note, NoteKind

if TYPE_CHECKING:
    from relapse.candidates.risk_model import RiskModel


def lacking(model: "RiskModel", cohort: Cohort, training: Mapping[str, Summary]) -> dict[str, Note]:
    """The note on each feature that may be missing and that the model uses, by name."""
    inner: Any = model.model
    pipeline: Pipeline = inner.transform_ if isinstance(inner, SurvivalModel) else inner.pipeline_
    values = _fills(pipeline.named_steps["encode"])
    return {
        name: Note(
            field=name,
            kind=NoteKind.LEFT_MISSING if one.done is Done.LEFT else NoteKind.IMPUTED,
            message=_message(one, cohort, values.get(name), training[name].missing),
        )
        for name, one in treatments(inner, cohort).items()
    }


def _fills(encode: Any) -> dict[str, Any]:
    """What fills each feature that is filled with one value."""
    found: dict[str, Any] = {}
    for step, fitted, names in by_columns(encode).transformers_:
        if step == "remainder" or isinstance(fitted, Lacking) or not isinstance(fitted, Pipeline):
            continue
        filled = fitted.named_steps.get(FILL, fitted)
        filled = getattr(filled, "filled_", filled)
        if "impute" in filled.named_steps:
            features = [name for name in names if name != SITE]
            found |= zip(features, filled["impute"].statistics_, strict=True)
    return found


def _message(one: Treatment, cohort: Cohort, value: Any, missing: float) -> str:
    if one.done is Done.LEFT:
        if missing:
            return "No value was given, and none is filled in: the model learnt what to do from patients without one."
        return "No value was given, and none is filled in; no patient in training was without one."
    if one.done is Done.IMPUTED:
        return "No value was given; it is imputed from this patient's other values, as learnt in training."
    feature = cohort.features[one.feature]
    if isinstance(feature, Numeric):
        unit = f" {feature.unit}" if feature.unit else ""
        text = f"No value was given; it is filled with {value:.6g}{unit}, the median of the training"
    else:
        text = f"No value was given; it is filled with {value}, the most frequent level of the training"
    return f"{text}, and the model is told that it was missing." if one.said else f"{text}."
