"""Streams of what went in and what came out: features, missing values, risks, all together, and who was unlike."""

import zlib
from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from relapse.ground.finding import Code
from relapse.monitoring.betting import conformal_p_values, log_capital, share_bets, smooth_bets
from relapse.monitoring.codes import W001, W002, W003, W004, W005
from relapse.monitoring.monitored import Monitored
from relapse.monitoring.served import Served
from relapse.monitoring.streams import Kind, Stream
from relapse.monitoring.whole import Directions

IntArray = NDArray[np.int64]

#: Waves that are bet on: shift and spread of what is ordered, and finer ones of what is not.
ORDERED, UNORDERED = 2, 4


def drift_streams(
    served: Served, training: Monitored, *, labels: dict[str, str], may_lack: Collection[str]
) -> list[Stream]:
    """Every stream that needs no outcome; ``may_lack`` are the features that may be missing."""
    return list(_streams(served, training, labels, may_lack))


def ties(code: Code, column: str, count: int) -> NDArray[np.float64]:
    """Uniform numbers that break ties, the same at every look."""
    return np.random.default_rng(zlib.crc32(f"{code.code} {column}".encode())).random(count)


def _streams(
    served: Served, training: Monitored, labels: dict[str, str], may_lack: Collection[str]
) -> Iterator[Stream]:
    for place, (name, item) in enumerate(training.features.items()):
        own = served.classes[:, place]
        rows, waves = np.flatnonzero(own >= 0), ORDERED if item.ordered else UNORDERED
        yield _smooth(W001, Kind.VALUES, name, labels[name], served, rows, item.counts, own, waves)
        if name in may_lack:
            # Lacking a block altogether is lacking its features.
            known = item.classes.counts
            counts = np.array([sum(known), item.missing])
            lacking = (own < 0).astype(np.int64)
            everybody = np.arange(len(served))
            p = conformal_p_values(counts, lacking, ties(W002, name, lacking.size))
            logs = log_capital([share_bets(p, downwards=True)])
            yield Stream(W002, Kind.MISSING, name, f"{labels[name]} missing", everybody, served.day, logs)
    answered = np.flatnonzero(np.isfinite(served.risk))
    risks = np.full(len(served), -1)
    risks[answered] = np.searchsorted(np.asarray(training.risk.limits or ()), served.risk[answered], side="left")
    counts = np.array(training.risk.counts)
    yield _smooth(W003, Kind.WHOLE, "", f"Risk of {training.risk_label}", served, answered, counts, risks, ORDERED)
    whole = training.whole
    # Of whoever lacks a block the others say little; the champion's patients are compared.
    distance = Directions.kept(whole).distances(training.positions(served.classes))
    places = np.searchsorted(np.asarray(whole.distances.limits or ()), distance, side="left")
    counts = np.array(whole.distances.counts)
    yield _smooth(W004, Kind.WHOLE, "", "All features together", served, answered, counts, places, ORDERED)
    unlike = served.unlike[answered].astype(np.int64)
    reference = np.array([training.patients - training.unlike, training.unlike])
    p = conformal_p_values(reference, unlike, ties(W005, "", unlike.size))
    logs = log_capital([share_bets(p, downwards=False)])
    yield Stream(W005, Kind.WHOLE, "", "Patients unlike the training", answered, served.day[answered], logs)


def _smooth(
    code: Code,
    kind: Kind,
    column: str,
    title: str,
    served: Served,
    rows: IntArray,
    counts: IntArray,
    classes: IntArray,
    waves: int,
) -> Stream:
    p = conformal_p_values(counts, classes[rows], ties(code, column, rows.size))
    return Stream(code, kind, column, title, rows, served.day[rows], log_capital([smooth_bets(p, waves)]))
