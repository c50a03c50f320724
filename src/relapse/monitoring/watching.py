"""Watching: every stream of what was served and of what became of the patients, judged together."""

from collections.abc import Collection

from relapse.monitoring.drift import drift_streams
from relapse.monitoring.monitored import Monitored
from relapse.monitoring.performance import Known, outcome_streams
from relapse.monitoring.served import ENOUGH, Served
from relapse.monitoring.streams import LEVEL, Judged, judge


def watch(
    served: Served,
    training: Monitored,
    known: Known | None,
    *,
    labels: dict[str, str],
    may_lack: Collection[str],
    level: float = LEVEL,
) -> list[Judged]:
    """Judge everything that can be watched; nothing where fewer than :data:`ENOUGH` patients were served.

    Parameters
    ----------
    served
        Each patient once.
    known
        Those whose outcome counts; None where no outcomes were given.
    labels
        Names of the features for people.
    may_lack
        Features that may be missing.
    level
        Chance of a false alarm, over all looks and all streams together.
    """
    if len(served) < ENOUGH:
        return []
    streams = drift_streams(served, training, labels=labels, may_lack=may_lack)
    if known is not None and training.outcomes is not None and len(known.rows) >= ENOUGH:
        streams += outcome_streams(known, training.outcomes)
    return judge(streams, level=level)
