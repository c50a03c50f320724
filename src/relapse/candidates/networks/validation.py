"""The part of the training rows on which a network's early stopping looks."""

import numpy as np
from numpy.typing import NDArray

#: Share of the patients, with and without the event alike.
SHARE = 0.2


def validation_rows(event: NDArray[np.bool_], patient: NDArray[np.object_], *, seed: int) -> NDArray[np.bool_]:
    """Which rows (n,) are held back: a fifth of the patients with and of those without the event, never a part of one.

    Parameters
    ----------
    event
        Outcomes (n,).
    patient
        Whom each row (n,) belongs to.
    seed
        Seed of the drawing.

    Raises
    ------
    ValueError
        Fewer than two patients with or without the event.
    """
    names, codes = np.unique(patient, return_inverse=True)
    relapsed = np.zeros(len(names), dtype=bool)
    np.logical_or.at(relapsed, codes, event)
    rng = np.random.default_rng(seed)
    held = np.zeros(len(names), dtype=bool)
    for stratum in (relapsed, ~relapsed):
        members = rng.permutation(np.flatnonzero(stratum))
        if len(members) < 2:
            raise ValueError("early stopping needs at least two patients with and two without the event")
        held[members[: max(1, round(SHARE * len(members)))]] = True
    return held[codes]
