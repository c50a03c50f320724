"""The classifier that a head starts from: a ridge regression on what the encoder sees before any training.

From random weights a head has to find, by some hundred steps, the direction in which pictures of those who relapse
differ among a thousand channels; a few dozen relapses do not single it out. The ridge penalty prefers the directions in
which pictures differ most, and is solved to its minimum. Training goes on from there, if that lowers the held loss.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relapse.workers import one_thread

if TYPE_CHECKING:
    from relapse.imaging.encoder.training import Loss

Array = NDArray[np.float64]

#: Steps of the minimiser, and the change at which it stops.
_STEPS, _CHANGE = 200, 1e-7


def ridge(
    seen: Array,
    covariates: Array | None,
    target: NDArray[Any],
    loss: "Loss",
    *,
    expected: float,
    balanced: bool = False,
) -> Array:
    """Coefficients (channels + 1 + covariates,): of what is seen, a constant, and of covariates.

    Parameters
    ----------
    seen
        (n, channels).
    covariates
        (n, p), standardised, None where there are none. Each coefficient is expected to have deviation 1.
    target
        (n,), as ``loss`` takes it.
    expected
        The deviation that the picture's part of the output is expected to have: the penalty is that of a normal prior
        under which channels tell the more the more they vary: to standardise them would raise noise.
    balanced
        As ``loss`` takes it.
    """
    import torch

    mean = seen.mean(axis=0)
    # The minimum lies in the span of the rows: as many coefficients as rows say it all.
    left, sizes, axes = np.linalg.svd(seen - mean, full_matrices=False)
    width = np.sqrt((sizes**2).sum() / len(seen)) or 1.0
    known = np.zeros((len(seen), 0)) if covariates is None else covariates
    order, columns = loss.columns(target, balanced)
    given = {name: torch.from_numpy(np.asarray(one, dtype=np.float64))[None] for name, one in columns.items()}
    image = torch.from_numpy((left * sizes * (expected / width))[order])
    beside = torch.from_numpy(known[order])
    # The loss is a mean: over events, or over rows.
    count = float(target["event"].sum() if target.dtype.names else len(target))
    parts = [torch.zeros(size, dtype=torch.float64, requires_grad=True) for size in (image.shape[1], 1, known.shape[1])]
    minimiser = torch.optim.LBFGS(parts, max_iter=_STEPS, tolerance_change=_CHANGE, line_search_fn="strong_wolfe")

    def value() -> "torch.Tensor":
        minimiser.zero_grad()
        output = image @ parts[0] + parts[1] + beside @ parts[2]
        # The constant is held, gently, since some losses do not depend on it.
        held = (parts[0] ** 2).sum() + (parts[2] ** 2).sum() + 0.01 * (parts[1] ** 2).sum()
        found = loss.value(output[None], given).sum() + held / (2 * count)
        found.backward()
        return found

    with one_thread():
        minimiser.step(value)
    coefficient, constant, beta = (part.detach().numpy() for part in parts)
    weights = axes.T @ (coefficient * (expected / width))
    return np.concatenate([weights, constant - mean @ weights, beta])
