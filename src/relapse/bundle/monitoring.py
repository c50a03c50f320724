"""What a bundle says of its training for monitoring, and who of a table would be answered as unlike the training."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relapse.bundle.content import read_content
from relapse.bundle.manifest import MONITORING
from relapse.bundle.reference import Distance, Reference, positions, refer
from relapse.bundle.summary import LevelSummary, Summary, summarise
from relapse.cohorts.schema import Cohort
from relapse.ground.errors import BundleError

if TYPE_CHECKING:
    import pandas as pd

    from relapse.monitoring.monitored import Monitored

#: Parts of the training; who of one is unlike the others is told without it.
PARTS = 5


def unlike(
    table: "pd.DataFrame", cohort: Cohort, reference: Reference, training: dict[str, Summary]
) -> NDArray[np.bool_]:
    """Whose answer (n,) says that she is unlike the training: by a value outside of it, or as a whole."""
    found = Distance(reference, cohort)(positions(table, cohort)) > reference.limit
    for name in cohort.predictors:
        seen, values = training[name], table[name]
        if isinstance(seen, LevelSummary):
            inside = values.isin([level for level, count in seen.counts.items() if count])
        elif seen.minimum is None or seen.maximum is None:
            inside = values.isna()
        else:
            inside = values.between(seen.minimum, seen.maximum)
        found |= (values.notna() & ~inside).to_numpy()
    return np.asarray(found)


def monitor(
    table: "pd.DataFrame", cohort: Cohort, predictions: "pd.DataFrame", *, threshold: float | None
) -> "Monitored":
    """What monitoring has to know of the training.

    Parameters
    ----------
    table
        The typed canonical table; of a patient with several rows the first counts.
    predictions
        Columns ``row`` and ``risk``, out of fold, at the first horizon where the endpoint has a time.
    threshold
        The risk from which the model calls a patient positive; None where it does not.
    """
    from relapse.monitoring.making import Training, monitored
    from relapse.monitoring.whole import parts

    people = table.merge(predictions[["row", "risk"]], on="row", validate="one_to_one")
    people = people.drop_duplicates("patient").reset_index(drop=True)
    part, flagged = parts(len(people), PARTS), np.zeros(len(people), dtype=np.bool_)
    for number in range(PARTS):
        others, mine = people[part != number], people[part == number]
        reference = refer(others.reset_index(drop=True), cohort, risks=())
        flagged[part == number] = unlike(mine, cohort, reference, summarise(others, cohort))
    risk = people["risk"].to_numpy(dtype=np.float64)
    return monitored(Training(people, risk, flagged, threshold), cohort)


def read_monitored(folder: Path, cohort: Cohort) -> "Monitored | None":
    """What a verified bundle says of its training for monitoring; None where it is from before that was kept.

    Raises
    ------
    BundleError
        Not what :func:`monitor` makes for this cohort.
    """
    path = folder / MONITORING
    if not path.is_file():
        return None
    from relapse.monitoring.monitored import Monitored

    found = read_content(path, Monitored.model_validate_json)
    if list(found.features) != cohort.predictors:
        raise BundleError(f"{path}: its features are not the predictors of cohort {cohort.name}.")
    return found


def required(monitored: "Monitored | None", *, where: str) -> "Monitored":
    """What a bundle says for monitoring; raises :class:`BundleError` where it is from before that was kept."""
    if monitored is None:
        raise BundleError(
            f"{where}: this bundle holds nothing to compare with: it was written before monitoring was there. It can "
            "be served; the next version that is registered (after training on other data or settings) can be "
            "monitored, too."
        )
    return monitored
