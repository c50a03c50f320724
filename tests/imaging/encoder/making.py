"""Tiny encoders, pictures and tasks."""

import numpy as np

from relapse.imaging.encoder.maps import Maps
from relapse.imaging.encoder.network import Architecture, Encoder, build
from relapse.imaging.encoder.training import HeadTask
from relapse.imaging.slices import Picture

TINY = Architecture(blocks=(2, 3), growth=4, first=8)


def encoder(seed: int = 0, share: float = 0.5) -> Encoder:
    return build(None, seed=seed, share=share, architecture=TINY)


def pictures(count: int, *, size: int = 32, slices: int = 1) -> list[Picture]:
    rng = np.random.default_rng(1)
    made = []
    for _ in range(count):
        channels = rng.standard_normal((slices, 3, size, size)).astype(np.float16)
        made.append(Picture(channels, np.ones((slices, size, size), bool), np.full(slices, 40, np.float32)))
    return made


def maps(count: int, *, slices: int = 1, views: int = 2, places: int = 16, channels: int = 16) -> Maps:
    rng = np.random.default_rng(2)
    values = rng.standard_normal((count, slices, views, places, channels)).astype(np.float32)
    return Maps(values, round(places**0.5))


def tasks(count: int, size: int, *, survival: bool = True, rows: int = 40) -> list[HeadTask]:
    """Tasks of unequal size on ``size`` pictures."""
    made = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        mine = rng.permutation(size)[: rows - 7 * (seed % 3)]
        event = rng.random(len(mine)) < 0.4
        event[:4] = [True, False, True, False]
        if survival:
            target = np.empty(len(mine), dtype=[("event", bool), ("time", np.float64)])
            target["event"], target["time"] = event, np.ceil(20 * rng.random(len(mine)))
        else:
            target = event.astype(np.int64)
        held = np.arange(len(mine)) % 4 >= 2
        made.append(HeadTask(mine, target, held, seed))
    return made
