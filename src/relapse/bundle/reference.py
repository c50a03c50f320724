"""What a patient is compared with: artificial typical patients, how far the training's own lie from them, risk groups.

No row of a patient is in here: see :mod:`relapse.explanation.background`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from relapse.bundle.content import read_content
from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.schema import Cohort
from relapse.ground.declarations import Declared
from relapse.ground.errors import BundleError

if TYPE_CHECKING:
    import pandas as pd

    from relapse.explanation.background import Background

Array = NDArray[np.float64]

#: Artificial patients wanted. Explanations average over them, which takes a time in proportion.
SIZE = 10

#: Share of the training's own patients that lie no farther out than a patient called unusual.
USUAL = 0.99


class Reference(Declared):
    """Typical patients and what is derived from them.

    ``typical`` holds the values of one feature for all of them; ``spread`` is the range of a number in training, by
    which a difference is divided; ``limit`` is the distance that :data:`USUAL` of the training's rows do not exceed;
    ``groups`` are the risks that part the out-of-fold predictions into thirds, None where none were given.
    """

    typical: dict[str, tuple[float | str | None, ...]]
    weights: tuple[float, ...]
    spread: dict[str, float]
    limit: Annotated[float, Field(ge=0)]
    groups: tuple[float, float] | None

    def background(self, cohort: Cohort) -> "Background":
        """The typical patients as explanations take them."""
        import pandas as pd

        from relapse.cohorts.table import typed
        from relapse.explanation.background import Background

        table = typed(pd.DataFrame(self.typical), cohort)
        # No picture stands for several patients; to a model, none is an average one.
        return Background(table.assign(**{IMAGE: None}) if cohort.volumes else table, np.array(self.weights))


class Distance:
    """Gower distance to the nearest typical patient, in [0, 1] within the ranges of the training.

    The mean over known features of: the difference of numbers over their range in training, of ordered levels over
    their number, 0 or 1 for unordered ones. Gower JC (1971), Biometrics 27:857-871.
    """

    def __init__(self, reference: Reference, cohort: Cohort) -> None:
        self._others = positions(reference.background(cohort).table, cohort)
        features = [(name, cohort.features[name]) for name in cohort.predictors]
        self._nominal = np.array([feature.type == "nominal" for _, feature in features])
        self._spread = np.array(
            [
                len(feature.names) - 1.0 if isinstance(feature, Categorical) else reference.spread[name]
                for name, feature in features
            ]
        )

    def __call__(self, values: Array) -> Array:
        """Distances (n,) of patients at ``values`` (n, p): see :func:`positions`."""
        gap = np.abs(values[:, None, :] - self._others[None, :, :])
        parts = np.where(self._nominal & (gap > 0), 1.0, gap / self._spread)
        unknown = np.isnan(gap)
        parts[unknown] = 0.0
        return np.asarray((parts.sum(axis=2) / np.maximum((~unknown).sum(axis=2), 1)).min(axis=1))


def positions(table: "pd.DataFrame", cohort: Cohort) -> Array:
    """The predictors of a typed table as numbers (n, p): a level by its place, NaN where there is no value."""
    columns = []
    for name in cohort.predictors:
        if isinstance(cohort.features[name], Categorical):
            codes = table[name].cat.codes.to_numpy(np.float64)
            columns.append(np.where(codes < 0, np.nan, codes))
        else:
            columns.append(table[name].to_numpy(np.float64))
    return np.column_stack(columns)


def refer(table: "pd.DataFrame", cohort: Cohort, *, risks: Sequence[float] | Array) -> Reference:
    """Make the reference of a typed canonical table; ``risks`` (any number) are out-of-fold risks of its rows."""
    from relapse.explanation.background import typical_patients

    found = typical_patients(table, cohort, size=SIZE)
    typical: dict[str, tuple[Any, ...]] = {
        name: tuple(None if value != value or value is None else value for value in found.table[name].astype(object))
        for name in cohort.predictors
    }
    spread = {name: float(np.ptp(table[name].dropna())) or 1.0 for name in cohort.numeric(cohort.predictors)}
    groups = (float(np.quantile(risks, 1 / 3)), float(np.quantile(risks, 2 / 3))) if len(risks) else None
    open_ended = Reference(
        typical=typical, weights=tuple(map(float, found.weights)), spread=spread, limit=0.0, groups=groups
    )
    limit = float(np.quantile(Distance(open_ended, cohort)(positions(table, cohort)), USUAL))
    return open_ended.model_copy(update={"limit": limit})


def read_reference(path: Path, cohort: Cohort) -> Reference:
    """Read a reference.

    Raises
    ------
    BundleError
        Not what :func:`refer` gives for this cohort.
    """
    found = read_content(path, Reference.model_validate_json)
    if list(found.typical) != cohort.predictors:
        raise BundleError(f"{path}: its features are not the predictors of cohort {cohort.name}.")
    return found
