"""The network that draws a lesion's border, as it is trained: a small U-Net, written as ONNX.

An autoencoder whose decoder is shown what its encoder saw at each scale (Ronneberger, Fischer and Brox 2015), with
108,000 weights. It is taught on windows with drawn masses over real normal tissue, on windows with nothing, and, if
they are given, on windows with real lesions whose border is known roughly only, and which count for less. Whoever
trains chooses the windows: none of a woman may be among them whom the network is tested on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.films.lesion import (
    KIND,
    KIND_IS,
    LESIONS,
    SHARES,
    SIDES,
    WINDOW,
    WINDOWS,
    looked_at,
    squares,
    standardised,
)
from relapse.imaging.films.phantoms import SIZES, lesion_on
from relapse.imaging.onnx_files import written
from relapse.workers import one_thread

if TYPE_CHECKING:
    import torch

    from relapse.imaging.films.breast import Breast

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Windows a step, and the highest learning rate.
_BATCH, _RATE = 16, 4e-3

#: Share of windows with no lesion, and of those whose lesion lies anywhere: a scan meets lesions beside its middle.
_EMPTY, _ASTRAY = 0.2, 0.3


#: Channels at the finest scale.
_WIDTH = 12


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """Windows (n, 128, 128) made alike, their masks, and how much each counts (n,)."""

    windows: Image
    masks: Mask
    weights: Image

    def __add__(self, other: "Taught") -> "Taught":
        return Taught(
            np.concatenate([self.windows, other.windows]),
            np.concatenate([self.masks, other.masks]),
            np.concatenate([self.weights, other.weights]),
        )


def phantom_windows(breasts: "Sequence[Breast]", count: int, seed: int) -> Taught:
    """Draw windows with masses over the tissue of breasts without a lesion; some hold none.

    All widths of windows come equally often, and the mass lies where a click that is up to a third of its radius off
    would have it, or, in some, anywhere.
    """
    from scipy import ndimage

    rng = np.random.default_rng([seed, 1])
    windows, masks = np.zeros((count, WINDOW, WINDOW), np.float32), np.zeros((count, WINDOW, WINDOW), np.bool_)
    looked = [looked_at(breast) for breast in breasts]
    places = [np.argwhere(mask) for _, mask, _ in looked]
    depths = [ndimage.distance_transform_edt(mask)[mask] * spacing for _, mask, spacing in looked]
    usable = [number for number, inside in enumerate(places) if len(inside)]
    for number in range(count):
        which = usable[number % len(usable)]
        image, inside, spacing = looked[which]
        side = SIDES[int(rng.integers(len(SIDES)))]
        # A mass lies in the breast: not nearer to its border than half of its radius.
        low, high = max(SHARES[0] * side, SIZES[0]), min(SHARES[1] * side, SIZES[1])
        diameter = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        allowed = places[which][depths[which] >= min(diameter / 4, 0.7 * float(depths[which].max()))]
        row, column = allowed[rng.integers(len(allowed))]
        tissue, known = squares(image, inside, float(row), float(column), side, spacing)
        if rng.random() >= _EMPTY:
            off = 0.25 * side if rng.random() < _ASTRAY else diameter / 4
            away, heading = off * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
            step = side / WINDOW
            middle = (WINDOW - 1) / 2
            centre = (middle + away * np.sin(heading) / step, middle + away * np.cos(heading) / step)
            shape, margin = int(rng.integers(2)), int(rng.integers(4))
            tissue, drawn = lesion_on(tissue, step, rng, shape=shape, margin=margin, diameter=diameter, centre=centre)
            # Where the breast ends, the mass does.
            tissue = np.where(known | (tissue > 0) & ~drawn, tissue, 0).astype(np.float32)
            masks[number] = drawn & known
        windows[number] = standardised(np.clip(tissue, 0, 1.1), known)
    return Taught(windows, masks, np.ones(count, np.float32))


def circle_windows(
    circles: "Sequence[tuple[Breast, float, float, float]]", repeats: int, seed: int, weight: float = 0.5
) -> Taught:
    """Windows around lesions of which a circle is known: breast, row, column, radius (pixels of its image).

    A circle is no border; so each counts ``weight`` only. Every lesion comes ``repeats`` times, its window moved.
    """
    rng = np.random.default_rng([seed, 2])
    windows, masks = [], []
    for breast, row, column, radius in circles:
        image, inside, spacing = looked_at(breast)
        shrunk = breast.spacing / spacing
        size = 2 * radius * breast.spacing
        fitting = [side for side in SIDES if SHARES[0] * side <= size <= SHARES[1] * side] or [SIDES[-1]]
        for _ in range(repeats):
            side = fitting[int(rng.integers(len(fitting)))]
            down, right = rng.normal(0, size / 8 / spacing, 2)
            at = (row * shrunk + down, column * shrunk + right)
            tissue, known = squares(image, inside, at[0], at[1], side, spacing)
            step = side / WINDOW / spacing
            rows, columns = np.mgrid[:WINDOW, :WINDOW] - (WINDOW - 1) / 2
            apart = np.hypot(rows + down / step, columns + right / step)
            windows.append(standardised(tissue, known))
            masks.append((apart <= radius * shrunk / step) & known)
    shape = (len(windows), WINDOW, WINDOW)
    return Taught(
        np.array(windows, np.float32).reshape(shape),
        np.array(masks, np.bool_).reshape(shape),
        np.full(len(windows), weight, np.float32),
    )


def train_lesion(
    windows: Image,
    masks: Mask,
    *,
    seed: int,
    epochs: int,
    weights: Image | None = None,
    width: int = _WIDTH,
) -> bytes:
    """Train the network; equal windows and seeds give equal bytes on one kind of machine.

    Parameters
    ----------
    windows, masks
        (n, 128, 128), as :func:`phantom_windows` and :func:`circle_windows` make them.
    seed
        Of the first weights, the order of windows, and how each is turned.
    epochs
        How often each window is seen, turned another way each time.
    weights
        How much each window counts; all the same, if not said.
    width
        Channels at the finest scale.
    """
    import torch

    if len(windows) != len(masks) or not len(windows):
        raise ValueError(
            f"{len(windows)} windows and {len(masks)} masks: as many of both are needed, and one at least."
        )
    counted = np.ones(len(windows), np.float32) if weights is None else weights
    rng = np.random.default_rng([seed, 3])
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = _net(width)
        optimizer = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=1e-3)
        steps = epochs * -(-len(windows) // _BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=_RATE, total_steps=steps, pct_start=0.15)
        net.train()
        for _ in range(epochs):
            order = rng.permutation(len(windows))
            for first in range(0, len(order), _BATCH):
                chosen = order[first : first + _BATCH]
                seen, truth = _turned(windows[chosen], masks[chosen], rng)
                output = net(torch.from_numpy(seen[:, None]).to(memory_format=torch.channels_last))
                loss = _loss(output, torch.from_numpy(truth[:, None]), torch.from_numpy(counted[chosen]))
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
                optimizer.step()
                schedule.step()
        return _exported(net.eval())


def _net(width: int) -> "torch.nn.Module":
    import torch
    from torch import nn
    from torch.nn.functional import interpolate

    def block(come: int, go: int, stride: int = 1) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(come, go, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(go), nn.ReLU(inplace=True)
        )

    class UNet(nn.Module):
        """Scales of 64, 32, 16 and 8 pixels: a border half a pixel of 64 off is 1% of a window."""

        def __init__(self) -> None:
            super().__init__()
            a, b, c, d = width, 2 * width, 3 * width, 4 * width
            self.first = nn.Sequential(
                nn.Conv2d(1, a, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(a), nn.ReLU(inplace=True)
            )
            self.second = nn.Sequential(block(a, b, 2), block(b, b))
            self.third = nn.Sequential(block(b, c, 2), block(c, c))
            self.fourth = nn.Sequential(block(c, d, 2), block(d, d))
            self.up_third = block(d + c, c)
            self.up_second = block(c + b, b)
            self.up_first = block(b + a, a)
            self.last = nn.Conv2d(a, 1, 1)
            # Most pixels are no lesion's: begun there, training does not spend its first steps on learning that.
            assert self.last.bias is not None
            nn.init.constant_(self.last.bias, -2.0)

        def forward(self, windows: torch.Tensor) -> torch.Tensor:
            first = self.first(windows)
            second = self.second(first)
            third = self.third(second)
            fourth = self.fourth(third)
            third = self.up_third(torch.cat([interpolate(fourth, scale_factor=2.0), third], 1))
            second = self.up_second(torch.cat([interpolate(third, scale_factor=2.0), second], 1))
            first = self.up_first(torch.cat([interpolate(second, scale_factor=2.0), first], 1))
            return interpolate(self.last(first), scale_factor=2.0, mode="bilinear", align_corners=False)

    # With channels last, a step of training takes three quarters of the time.
    made: nn.Module = UNet()
    return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _loss(output: "torch.Tensor", truth: "torch.Tensor", weights: "torch.Tensor") -> "torch.Tensor":
    """Cross-entropy of pixels and, of windows that hold a lesion, one less the soft Dice."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    entropy = binary_cross_entropy_with_logits(output, truth, reduction="none").mean((1, 2, 3))
    probability = output.sigmoid()
    both = (probability * truth).sum((1, 2, 3))
    either = probability.sum((1, 2, 3)) + truth.sum((1, 2, 3))
    there = (truth.sum((1, 2, 3)) > 0).float()
    apart = (1 - (2 * both + 1) / (either + 1)) * there
    return ((entropy * 2 + apart) * weights).sum() / weights.sum()


def _turned(windows: Image, masks: Mask, rng: np.random.Generator) -> tuple[Image, Image]:
    """Each window mirrored and turned by quarters at random, its contrast changed a little."""
    seen, truth = np.empty_like(windows), np.empty(windows.shape, np.float32)
    for place in range(len(windows)):
        quarters, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        one, other = np.rot90(windows[place], quarters), np.rot90(masks[place], quarters)
        gain, lift = rng.uniform(0.85, 1.15), rng.uniform(-0.2, 0.2)
        seen[place] = (one[:, ::-1] if mirrored else one) * gain + lift
        truth[place] = other[:, ::-1] if mirrored else other
    return seen, truth


def _exported(net: "torch.nn.Module") -> bytes:
    import torch

    class Lesions(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, windows: torch.Tensor) -> torch.Tensor:
            return self.net(windows).sigmoid()

    drawn = torch.zeros(2, 1, WINDOW, WINDOW)
    return written(Lesions(), drawn, takes=WINDOWS, gives=LESIONS, says={KIND: KIND_IS})
