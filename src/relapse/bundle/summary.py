"""What a model was trained on, in summary: enough to say that a patient is unlike those seen, and no patient's row."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, TypeAdapter

from relapse.bundle.content import read_content
from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.schema import Cohort
from relapse.ground.declarations import Declared
from relapse.ground.errors import BundleError

if TYPE_CHECKING:
    import pandas as pd

Share = Annotated[float, Field(ge=0, le=1)]


class NumericSummary(Declared):
    """Smallest and largest value, None where all were missing, and the share of rows without a value."""

    minimum: float | None
    maximum: float | None
    missing: Share


class LevelSummary(Declared):
    """Rows at each declared level, and the share of rows without a value."""

    counts: dict[str, Annotated[int, Field(ge=0)]]
    missing: Share


class Metric(Declared):
    """A figure of the evidence, with its interval where it has one."""

    key: str
    label: str
    value: float | None
    lower: float | None
    upper: float | None


Summary = NumericSummary | LevelSummary

_SUMMARIES: TypeAdapter[dict[str, Summary]] = TypeAdapter(dict[str, Summary])
_METRICS: TypeAdapter[tuple[Metric, ...]] = TypeAdapter(tuple[Metric, ...])


def summarise(table: "pd.DataFrame", cohort: Cohort) -> dict[str, Summary]:
    """Summarise the predictors of a typed canonical table."""
    found: dict[str, Summary] = {}
    for name in cohort.predictors:
        values, feature = table[name], cohort.features[name]
        missing = float(values.isna().mean())
        if isinstance(feature, Categorical):
            counts = values.value_counts()
            found[name] = LevelSummary(
                counts={level: int(counts.get(level, 0)) for level in feature.names}, missing=missing
            )
        else:
            seen = values.dropna()
            ends = (float(seen.min()), float(seen.max())) if len(seen) else (None, None)
            found[name] = NumericSummary(minimum=ends[0], maximum=ends[1], missing=missing)
    return found


def read_summaries(path: Path, cohort: Cohort) -> dict[str, Summary]:
    """Read the summaries of all predictors.

    Raises
    ------
    BundleError
        Not what :func:`summarise` gives for this cohort.
    """
    found = read_content(path, _SUMMARIES.validate_json)
    if list(found) != cohort.predictors:
        raise BundleError(f"{path}: its features are not the predictors of cohort {cohort.name}.")
    return found


def read_metrics(path: Path) -> tuple[Metric, ...]:
    """Read the evidence.

    Raises
    ------
    BundleError
        Not a list of metrics.
    """
    return read_content(path, _METRICS.validate_json)


def check_metrics(metrics: list[dict[str, object]]) -> tuple[Metric, ...]:
    """Metrics given as plain values; raises pydantic's ``ValidationError`` where a key is missing or unknown."""
    return _METRICS.validate_python(metrics)
