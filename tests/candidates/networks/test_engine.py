"""Many networks at once: each as if it were alone, and as torch's own loop trains it."""

import numpy as np
import pytest
import torch

from relapse.candidates.networks import engine
from relapse.candidates.networks.engine import Schedule, Task, fit_many
from relapse.candidates.networks.layers import Layer, Weights, convolutional, forward, initial, multilayer
from relapse.candidates.networks.losses import BINARY, COX, Loss

from .making import tasks
from .plain import PlainCNN, PlainMLP, loaded, train_alone

BODIES = {"mlp": multilayer(6, width=8, depth=2), "cnn1d": convolutional(6, width=4)}
LOSSES = {"binary": BINARY, "cox": COX}

#: How far an output may stand from that of the same network in another batch: rounding of single precision, grown over
#: the epochs. Networks that mixed would differ by tenths.
SINGLE = 1e-3


def _outputs(layers: tuple[Layer, ...], found: list[Weights], of: list[Task]) -> np.ndarray:
    parts = zip(found, of, strict=True)
    return np.concatenate([forward(layers, [array[None] for array in w], task.matrix)[0] for w, task in parts])


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("body", BODIES)
def test_together_gives_the_same_predictions_as_one_at_a_time(body: str, kind: str, dropout: float) -> None:
    """For as long as the last digit, which hangs on a batch's padding, has not chosen another epoch to stop at."""
    layers, loss, made = BODIES[body], LOSSES[kind], tasks(7, survival=kind == "cox")
    schedule = Schedule(learning_rate=0.01, weight_decay=0.1, dropout=dropout, balanced=True, epochs=10)
    together = fit_many(layers, loss, made, schedule)
    alone = [fit_many(layers, loss, [task], schedule)[0] for task in made]
    backwards = fit_many(layers, loss, made[::-1], schedule)[::-1]
    for other in (alone, backwards):
        for one, two, task in zip(together, other, made, strict=True):
            apart = _outputs(layers, [one], [task]) - _outputs(layers, [two], [task])
            # A Cox model's outputs have no origin.
            assert np.abs(apart - (0 if loss.shifted else apart.mean())).max() < SINGLE


@pytest.mark.parametrize("body", BODIES)
def test_it_is_the_training_loop_of_torch(body: str) -> None:
    layers, made = BODIES[body], tasks(4)
    schedule = Schedule(learning_rate=0.01, epochs=150, patience=10)
    ours = _outputs(layers, fit_many(layers, BINARY, made, schedule), made)
    theirs = []
    for task in made:
        weights = initial(layers, seed=task.seed)
        weights[-1][:] = BINARY.base(BINARY.columns(task.target[~task.held], False)[1])
        module = loaded(PlainCNN(6, 4) if body == "cnn1d" else PlainMLP(6, 8, 2), weights)
        theirs.append(train_alone(module, task, schedule)(torch.tensor(task.matrix)).detach().numpy())
    assert np.abs(ours - np.concatenate(theirs)).max() < 1e-5


@pytest.mark.parametrize("kind", LOSSES)
def test_the_same_bytes_come_out_again_with_more_threads_and_in_smaller_batches(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers, loss, made = BODIES["cnn1d"], LOSSES[kind], tasks(5, survival=kind == "cox")
    schedule = Schedule(learning_rate=0.01, dropout=0.2, epochs=60)
    first = _outputs(layers, fit_many(layers, loss, made, schedule), made)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        again = _outputs(layers, fit_many(layers, loss, made, schedule), made)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(first, again)
    monkeypatch.setattr(engine, "_VALUES", 10_000)
    np.testing.assert_allclose(_outputs(layers, fit_many(layers, loss, made, schedule), made), first, atol=SINGLE)


def _validation_loss(loss: Loss, layers: tuple[Layer, ...], weights: Weights, task: Task) -> float:
    order, columns = loss.columns(task.target[task.held], False)
    output = forward(layers, [array[None] for array in weights], task.matrix[task.held][order])
    return float(loss.value(torch.tensor(output), {name: torch.tensor(c)[None] for name, c in columns.items()})[0])


def test_a_network_goes_back_to_its_best_weights_and_stops_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    layers, made = BODIES["mlp"], tasks(6, survival=True)
    seen: list[list[float]] = []
    look = engine._Batch.look

    def watched(batch: engine._Batch) -> torch.Tensor:
        seen.append([float("nan")] * len(made))
        value = batch.loss.value(batch._output(batch.validation, drop=False).double(), batch.validation.columns)
        for position, found in zip(batch.position.tolist(), value.tolist(), strict=True):
            seen[-1][position] = found
        return look(batch)

    monkeypatch.setattr(engine._Batch, "look", watched)
    found = fit_many(layers, COX, made, Schedule(learning_rate=0.02, epochs=400, patience=10))
    assert len(seen) < 400
    stops = set()
    for index, task in enumerate(made):
        values = np.array([epoch[index] for epoch in seen])
        # It waits ten epochs, beginning from its lowest value so far; what it does afterwards does not count.
        best = next(i for i in range(len(values)) if not (values[i + 1 : i + 11] < values[: i + 1].min()).any())
        best = int(np.argmin(values[: best + 1]))
        stops.add(best)
        assert _validation_loss(COX, layers, found[index], task) == pytest.approx(values[best], rel=1e-5)
    assert len(stops) > 2


def test_validation_rows_train_nothing() -> None:
    layers, (task,) = BODIES["mlp"], tasks(1)
    schedule = Schedule(epochs=15)
    spoiled = np.where(task.held[:, None], -task.matrix, task.matrix)
    other = Task(spoiled, task.target, task.held, task.seed)
    # Of each the weights after the last epoch, so that the choice of an epoch cannot differ.
    ends = []
    for one in (task, other):
        batch = engine._Batch(layers, BINARY, [one], schedule, "cpu")
        for epoch in range(1, 16):
            batch.step(epoch)
        ends.append(batch.flat.numpy())
    np.testing.assert_array_equal(*ends)
