"""Small problems for networks, of unequal size."""

import numpy as np

from relapse.candidates.networks.engine import Task
from relapse.candidates.networks.validation import validation_rows


def tasks(count: int, *, rows: int = 120, features: int = 6, survival: bool = False) -> list[Task]:
    """``count`` tasks, each with rows, outcomes and a seed of its own; times have ties."""
    made = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        size = rows - 11 * (seed % 4)
        matrix = rng.normal(size=(size, features))
        risk = matrix[:, 0] + 0.5 * matrix[:, 1] ** 2 - 1
        if survival:
            relapse, censoring = rng.exponential(size=(2, size)) * [np.exp(-risk), np.ones(size)]
            target = np.empty(size, dtype=[("event", bool), ("time", np.float64)])
            target["time"], target["event"] = np.ceil(np.minimum(relapse, censoring) * 30), relapse <= censoring
            event = target["event"]
        else:
            target = (rng.random(size) < 1 / (1 + np.exp(-risk))).astype(np.int64)
            event = target == 1
        made.append(Task(matrix, target, validation_rows(event, np.arange(size), seed=seed), seed))
    return made
