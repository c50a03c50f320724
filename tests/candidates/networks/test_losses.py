"""Losses of many networks at once are those of each alone; padding weighs nothing."""

import numpy as np
import pytest
import torch

from relapse.candidates.networks.losses import BINARY, COX, Loss

from .making import tasks
from .plain import cox_loss


def _value(loss: Loss, target: np.ndarray, output: np.ndarray, *, balanced: bool = False, padding: int = 0) -> float:
    order, columns = loss.columns(target, balanced)
    padded = {name: torch.tensor(np.pad(column, (0, padding)))[None] for name, column in columns.items()}
    # What stands in padded rows must not matter.
    ordered = torch.tensor(np.pad(output[order], (0, padding), constant_values=9.0))[None]
    return float(loss.value(ordered, padded)[0])


@pytest.mark.parametrize("padding", [0, 13])
def test_cox_with_ties_is_the_plain_sum_over_events(padding: int) -> None:
    target = tasks(1, survival=True)[0].target
    output = np.random.default_rng(1).normal(size=len(target)) * 3
    assert len(np.unique(target["time"])) < len(target) - 10
    plain = float(cox_loss(torch.tensor(output), target["time"], target["event"]))
    assert _value(COX, target, output, padding=padding) == pytest.approx(plain, rel=1e-12)
    assert _value(COX, target, output + 100, padding=padding) == pytest.approx(plain, rel=1e-9)


def test_cox_stays_finite_where_hazards_lie_far_apart() -> None:
    target = tasks(1, survival=True)[0].target
    assert np.isfinite(_value(COX, target, np.linspace(-2000, 2000, len(target))))


@pytest.mark.parametrize("padding", [0, 13])
def test_cross_entropy_is_that_of_torch(padding: int) -> None:
    target = tasks(1)[0].target
    output = np.random.default_rng(1).normal(size=len(target)) * 3
    plain = torch.nn.BCEWithLogitsLoss()(torch.tensor(output), torch.tensor(target, dtype=torch.float64))
    assert _value(BINARY, target, output, padding=padding) == pytest.approx(float(plain), rel=1e-12)


def test_balanced_classes_weigh_the_same() -> None:
    target = np.array([1, 0, 0, 0])
    output = np.array([0.3, -0.2, 0.1, 0.4])
    each = np.log1p(np.exp(output)) - target * output
    assert _value(BINARY, target, output, balanced=True) == pytest.approx(each[0] / 2 + each[1:].mean() / 2)
    assert BINARY.base(BINARY.columns(target, True)[1]) == pytest.approx(0)
    assert BINARY.base(BINARY.columns(target, False)[1]) == pytest.approx(np.log(1 / 3))
