"""Small drawn films: a breast with its skin, a muscle, dense tissue, a label and a wedge, and where each of them is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Rows and columns, and millimetres between pixels.
SHAPE, SPACING = (384, 320), 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Grey levels of 12 bits, chest wall on the left unless turned, and masks of what is where."""

    values: NDArray[np.uint16]
    tissue: NDArray[np.bool_]
    muscle: NDArray[np.bool_]
    dense: NDArray[np.bool_]
    things: NDArray[np.bool_]


def draw(
    *,
    seed: int = 0,
    dense: float = 0.3,
    muscle: bool = True,
    label: bool = True,
    wedge: bool = False,
    right: bool = False,
) -> Drawn:
    """Draw a film.

    ``dense`` is the share of the breast's area that is dense tissue; ``wedge`` a bright strip along the side that is
    away from the breast; ``right`` has the chest wall on the right.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
    middle, reach = 0.52 * SHAPE[0], 0.6 * SHAPE[1]
    breast = ((rows - middle) / (0.46 * SHAPE[0])) ** 2 + (columns / reach) ** 2 < 1
    # The upper part goes on to the armpit.
    breast |= (rows < middle) & (columns < 0.33 * SHAPE[1])
    depth = ndimage.distance_transform_edt(np.pad(breast, ((1, 1), (1, 0)), mode="edge"))[1:-1, 1:]
    thick = 1 - np.exp(-depth / 16)
    texture = ndimage.gaussian_filter(rng.normal(size=SHAPE), 2)
    values = 60 + 1500 * thick + 1500 * thick * texture / texture.std() * 0.03
    gland = ndimage.gaussian_filter(rng.normal(size=SHAPE), 12)
    gland += 0.3 * gland.std() * (columns / reach)
    corner = breast & (rows / 230 + columns / 95 < 1) if muscle else np.zeros(SHAPE, dtype=np.bool_)
    tissue = breast & ~corner
    inner = tissue & (depth > 14)
    count = int(dense * tissue.sum())
    is_dense = np.zeros(SHAPE, dtype=np.bool_)
    if count:
        is_dense = inner & (gland >= np.sort(gland[inner])[::-1][min(count, int(inner.sum())) - 1])
    values += 1200 * ndimage.gaussian_filter(is_dense.astype(float), 1.5)
    values = np.where(breast, np.where(ndimage.gaussian_filter(corner.astype(float), 1.5) > 0.5, 3000, values), 60)
    things = np.zeros(SHAPE, dtype=np.bool_)
    if label:
        things[20:60, 250:290] = True
    if wedge:
        things[:, -12:] = True
    values[things] = 4000
    values = np.clip(ndimage.gaussian_filter(values, 1) + rng.normal(0, 8, SHAPE), 0, 4095)
    found = [values.astype(np.uint16), tissue, corner, is_dense, things]
    if right:
        found = [np.ascontiguousarray(one[:, ::-1]) for one in found]
    return Drawn(*found)
