"""An alarm in words: what is different, among how many, and since when."""

import numpy as np
from numpy.typing import NDArray

from relapse.monitoring.codes import W001, W002, W003, W004, W005, W006, W007
from relapse.monitoring.monitored import Monitored, Outcomes
from relapse.monitoring.over_time import EACH, measured
from relapse.monitoring.performance import Known
from relapse.monitoring.served import Served
from relapse.monitoring.streams import Alarm, Judged
from relapse.quality.accepted import Counted

IntArray = NDArray[np.int64]


def told(item: Judged, served: Served, training: Monitored, known: Known | None) -> str:
    """What an alarm says; "" where there is none."""
    if item.alarm is None:
        return ""
    stream, alarm = item.stream, item.alarm
    who = f"of the {len(alarm.rows)} patients since {alarm.since}"
    if stream.code in (W001, W002):
        feature = training.features[stream.column]
        classes = served.classes[alarm.rows, list(training.features).index(stream.column)]
        if stream.code is W002:
            said = f"missing in {(classes < 0).mean():.0%} {who}, and in {feature.missing / training.patients:.0%}"
        else:
            said = _most(feature.classes, classes, who)
    elif stream.code is W003:
        limits = np.asarray(training.risk.limits or ())
        places = np.searchsorted(limits, served.risk[alarm.rows], side="left")
        said = _most(training.risk, places, who, prefix="a risk ")
    elif stream.code is W004:
        return f"{stream.title}: another pattern among the {len(alarm.rows)} patients since {alarm.since}{_seen(alarm)}"
    elif stream.code is W005:
        said = f"{np.nanmean(served.unlike[alarm.rows]):.0%} {who}, and {training.unlike / training.patients:.0%}"
    else:
        assert known is not None
        assert training.outcomes is not None
        return f"{stream.title}: {_performed(item, known, training.outcomes)}{_seen(alarm)}"
    return f"{stream.title}: {said} of the training's {training.patients}{_seen(alarm)}"


def _seen(alarm: Alarm) -> str:
    return f"; certain on {alarm.day}."


def _most(counted: Counted, classes: IntArray, who: str, *, prefix: str = "") -> str:
    """The run of classes, from either end or one alone, whose share changed most."""
    before = np.array([*counted.counts, 0], dtype=np.float64)
    after = np.bincount(classes[classes >= 0], minlength=before.size).astype(np.float64)
    before, after = before / max(before.sum(), 1), after / max(after.sum(), 1)
    names = [*counted.names, "a level that nobody had"]
    if counted.classes is None and counted.limits:
        change = np.cumsum(after - before)[: len(counted.limits)]
        at = int(np.abs(change).argmax())
        name = f"above {counted.limits[at]:g}"
        share = 1 - np.cumsum(after)[at], 1 - np.cumsum(before)[at]
    else:
        at = int(np.abs(after - before).argmax())
        name, share = names[at], (after[at], before[at])
    return f"{prefix}{name} in {share[0]:.0%} {who}, and in {share[1]:.0%}"


def _performed(item: Judged, known: Known, training: Outcomes) -> str:
    assert item.alarm is not None
    mine = np.isin(known.rows, np.arange(item.alarm.rows[0], known.rows[-1] + 1))
    event, risk = known.event[mine], known.risk[mine]
    who = f"the {event.size} patients since {item.alarm.since}"
    if min(event.sum(), (1 - event).sum()) < EACH:
        return f"{event.sum()} events among {who}, {risk.sum():.1f} expected"
    found = measured(event, risk, training)
    if item.stream.code is W006:
        return (
            f"{event.sum()} events among {who}, {risk.sum():.1f} expected by their risks (ratio {found['ratio']:.2f}, "
            f"{found['ratio_lower']:.2f} to {found['ratio_upper']:.2f})"
        )
    if item.stream.code is W007:
        return (
            f"AUC {found['auc']:.3f} ({found['auc_lower']:.3f} to {found['auc_upper']:.3f}) among {who}; in the "
            f"training {training.auc:.3f}, its lower bound {training.auc_lower:.3f}"
        )
    return (
        f"at the threshold {training.threshold:.3f} a gain of {found['gain']:.3f} ({found['gain_lower']:.3f} to "
        f"{found['gain_upper']:.3f}) over the better of treating all and none, among {who}; in the training "
        f"{training.gain:.3f}"
    )
