"""Heads on cached maps compute what the whole network computes, and a head among many is the head alone."""

import dataclasses

import numpy as np
import pytest
import torch

from relapse.candidates.networks.losses import BINARY, COX
from relapse.imaging.encoder.asking import predict_heads
from relapse.imaging.encoder.head import put_in, start
from relapse.imaging.encoder.maps import Maps, make_maps
from relapse.imaging.encoder.network import build
from relapse.imaging.encoder.training import HeadSchedule, HeadTask, _Heads, fit_heads

from .making import encoder, maps, pictures, tasks

QUICK = HeadSchedule(batch=12, epochs=6, patience=3, learning_rate=1e-2)


def whole(made, some) -> np.ndarray:
    """What the network itself says of pictures, uncached."""
    images = torch.from_numpy(np.concatenate([one.channels for one in some]).astype(np.float32))
    with torch.no_grad():
        return made.module(images)[:, 0].numpy()


def cached(made, some, count: int = 1) -> Maps:
    values = np.stack([make_maps(made, one, count) for one in some])
    return Maps(values, round(values.shape[3] ** 0.5))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_the_cached_computation_equals_the_uncached_one(share: float) -> None:
    made, some = encoder(share=share), pictures(5)
    weights, frozen = start(made)
    found = predict_heads(cached(made, some), frozen, [weights], np.arange(5))[0]
    np.testing.assert_allclose(found, whole(made, some), atol=1e-5)


@pytest.mark.slow
def test_the_cached_computation_of_densenet121_equals_the_uncached_one() -> None:
    made, some = build(None), pictures(2, size=224)
    weights, frozen = start(made)
    kept = cached(made, some)
    assert kept.values.shape == (2, 1, 1, 49, 864)
    np.testing.assert_allclose(predict_heads(kept, frozen, [weights], np.arange(2))[0], whole(made, some), atol=1e-5)


@pytest.mark.parametrize(("loss", "survival"), [(COX, True), (BINARY, False)])
def test_a_step_on_cached_maps_is_a_step_of_the_whole_network(loss, survival: bool) -> None:
    made, some = encoder(), pictures(24)
    (task,) = tasks(1, 24, survival=survival, rows=24)
    schedule = HeadSchedule(batch=100, weight_decay=0.0)
    heads = _Heads(cached(made, some), start(made), loss, [task], schedule, "cpu")
    # The same beginning in the network itself, every layer before the head frozen, every normalisation as in use.
    begun = [leaf[0].detach().numpy() for leaf in heads.leaves]
    put_in(made, begun)
    heads.epoch()
    features, classifier = made.module.features, made.module.class_layers.out
    layers = list(features.denseblock2.children())[-made.depth :]
    free = [one for part in (*layers, features.norm5, classifier) for one in part.parameters()]
    for one in free:
        one.requires_grad_()
    optimiser = torch.optim.Adam(free, lr=schedule.learning_rate)
    places = np.flatnonzero(~task.held)
    order, columns = loss.columns(task.target[places], False)
    images = np.concatenate([some[row].channels for row in task.rows[places][order]]).astype(np.float32)
    output = made.module(torch.from_numpy(images))[:, 0]
    given = {name: torch.from_numpy(np.asarray(one, dtype=np.float32))[None] for name, one in columns.items()}
    loss.value(output[None], given).sum().backward()
    optimiser.step()
    for mine, theirs in zip(heads.leaves, start(made)[0], strict=True):
        # Adam's first step is the sign of a gradient: what is nearly 0 may go either way.
        moved = mine[0].detach().numpy()
        assert np.mean(np.abs(moved - theirs) < 1e-5) > 0.99
    after = [leaf[0].detach().numpy() for leaf in heads.leaves]
    rows = np.arange(24)
    np.testing.assert_allclose(
        predict_heads(cached(made, some), start(made)[1], [after], rows)[0], whole(made, some), atol=1e-3
    )


@pytest.mark.parametrize(("loss", "survival"), [(COX, True), (BINARY, False)])
@pytest.mark.parametrize("slices", [1, 2])
def test_heads_trained_together_are_those_trained_alone(loss, survival: bool, slices: int) -> None:
    made = encoder()
    some = maps(50, slices=slices, channels=start(made)[1].means[0].size)
    jobs = tasks(5, 50, survival=survival)
    schedule = HeadSchedule(batch=12, epochs=6, patience=2, learning_rate=1e-2, double=True)
    together = fit_heads(some, start(made), loss, jobs, schedule)
    alone = [fit_heads(some, start(made), loss, [job], schedule)[0] for job in jobs]
    rows = np.arange(50)
    frozen = start(made)[1]
    one, other = (predict_heads(some, frozen, heads, rows, double=True) for heads in (together, alone))
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert np.abs(one[0] - one[1]).max() > 1e-3


def test_the_same_seed_gives_the_same_head() -> None:
    made, job = encoder(), tasks(1, 50)
    some = maps(50, channels=start(made)[1].means[0].size)
    one, two = (fit_heads(some, start(made), COX, job, QUICK)[0] for _ in range(2))
    for mine, theirs in zip(one, two, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_head_learns_what_is_in_the_maps() -> None:
    made = encoder()
    some = maps(160, channels=start(made)[1].means[0].size)
    signal = np.random.default_rng(3).standard_normal(160)
    some.values[..., 0] += signal[:, None, None, None].astype(np.float32)
    rng = np.random.default_rng(4)
    target = np.empty(160, dtype=[("event", bool), ("time", np.float64)])
    target["time"], target["event"] = rng.exponential(size=160) * np.exp(-1.5 * signal), True
    train = np.arange(120)
    job = HeadTask(train, target[train], train % 4 == 0, 0)
    heads = fit_heads(some, start(made), COX, [job], HeadSchedule(batch=30, epochs=30, learning_rate=3e-3))
    found = predict_heads(some, start(made)[1], heads, np.arange(120, 160))[0]
    assert np.corrcoef(found, signal[120:])[0, 1] > 0.5


def test_the_best_weights_are_kept_not_the_last() -> None:
    made = encoder()
    some = maps(50, channels=start(made)[1].means[0].size)
    (job,) = tasks(1, 50)
    schedule = HeadSchedule(batch=12, epochs=12, patience=12, learning_rate=0.1)
    heads = _Heads(some, start(made), COX, [job], schedule, "cpu")
    weights = heads.trained()[0]
    held = np.flatnonzero(job.held)
    order, columns = COX.columns(job.target[held], False)
    found = predict_heads(some, start(made)[1], [weights], job.rows[held][order])
    given = {name: torch.from_numpy(one)[None] for name, one in columns.items()}
    assert float(COX.value(torch.from_numpy(found), given)) == pytest.approx(float(heads.lowest[0]), abs=1e-4)


def test_a_trained_head_fits_back_into_the_network() -> None:
    made, some = encoder(), pictures(24)
    heads = fit_heads(cached(made, some), start(made), COX, tasks(1, 24, rows=24), QUICK)
    expected = predict_heads(cached(made, some), start(made)[1], heads, np.arange(24))[0]
    put_in(made, heads[0])
    np.testing.assert_allclose(whole(made, some), expected, atol=1e-5)


def test_where_a_head_begins_does_not_move_with_the_network() -> None:
    made = encoder()
    (weights, frozen), (kept, _) = start(made), start(made)
    put_in(made, [one + 1 for one in weights])
    for mine, theirs in zip(weights, kept, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert frozen.means[0] is not start(made)[1].means[0]


def beside(job: HeadTask, columns: int = 2) -> HeadTask:
    """The same task with covariates."""
    drawn = np.random.default_rng([7, job.seed]).standard_normal((len(job.rows), columns))
    return dataclasses.replace(job, covariates=drawn)


def test_covariates_beside_an_image_that_tells_nothing_get_the_coefficients_of_a_cox_model() -> None:
    from sksurv.linear_model import CoxPHSurvivalAnalysis

    made, count = encoder(), 400
    some = maps(count, channels=start(made)[1].means[0].size)
    rng = np.random.default_rng(5)
    known = rng.standard_normal((count, 2))
    target = np.empty(count, dtype=[("event", bool), ("time", np.float64)])
    target["time"], target["event"] = (
        rng.exponential(size=count) * np.exp(-known @ [0.9, -0.5]),
        rng.random(count) < 0.7,
    )
    job = HeadTask(np.arange(count), target, np.arange(count) % 5 == 0, 0, known)
    (head,) = fit_heads(some, start(made), COX, [job], HeadSchedule(epochs=40))
    assert len(head) == len(start(made)[0]) + 1
    plain = CoxPHSurvivalAnalysis().fit(known[~job.held], target[~job.held]).coef_
    np.testing.assert_allclose(head[-1], plain, atol=0.12)


@pytest.mark.parametrize(("loss", "survival"), [(COX, True), (BINARY, False)])
def test_heads_with_covariates_trained_together_are_those_trained_alone(loss, survival: bool) -> None:
    made = encoder()
    some = maps(50, channels=start(made)[1].means[0].size)
    jobs = [beside(job) for job in tasks(4, 50, survival=survival)]
    schedule = HeadSchedule(batch=12, epochs=6, patience=2, learning_rate=1e-2, double=True)
    together = fit_heads(some, start(made), loss, jobs, schedule)
    alone = [fit_heads(some, start(made), loss, [job], schedule)[0] for job in jobs]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one[-1], other[-1], atol=1e-5)
        assert np.abs(one[-1]).max() > 1e-3
    rows, frozen = np.arange(50), start(made)[1]
    first, second = (predict_heads(some, frozen, heads, rows, double=True) for heads in (together, alone))
    np.testing.assert_allclose(first, second, atol=1e-5)
    # The image's part is asked for, with the coefficients or without them.
    bare = [head[:-1] for head in together]
    np.testing.assert_array_equal(predict_heads(some, frozen, bare, rows, double=True), first)


def test_covariates_of_no_columns_change_nothing() -> None:
    made, (job,) = encoder(), tasks(1, 50)
    some = maps(50, channels=start(made)[1].means[0].size)
    one, two = (fit_heads(some, start(made), COX, [each], QUICK)[0] for each in (job, beside(job, 0)))
    for mine, theirs in zip(one, two, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_covariates_count_in_early_stopping() -> None:
    made, (job,) = encoder(), tasks(1, 50)
    some = maps(50, channels=start(made)[1].means[0].size)
    job = beside(job)
    heads = _Heads(some, start(made), COX, [job], QUICK, "cpu")
    weights = heads.trained()[0]
    held = np.flatnonzero(job.held)
    order, columns = COX.columns(job.target[held], False)
    found = predict_heads(some, start(made)[1], [weights], job.rows[held][order])
    found = found + job.covariates[held][order] @ weights[-1]
    given = {name: torch.from_numpy(one)[None] for name, one in columns.items()}
    assert float(COX.value(torch.from_numpy(found), given)) == pytest.approx(float(heads.lowest[0]), abs=1e-4)


def test_covariates_that_do_not_fit_are_refused() -> None:
    made, jobs = encoder(), tasks(2, 50)
    some = maps(50, channels=start(made)[1].means[0].size)
    with pytest.raises(ValueError, match="have the same covariates"):
        fit_heads(some, start(made), COX, [jobs[0], beside(jobs[1])], QUICK)
    short = dataclasses.replace(jobs[0], covariates=np.zeros((3, 2)))
    with pytest.raises(ValueError, match="one row is needed for each row"):
        fit_heads(some, start(made), COX, [short], QUICK)
