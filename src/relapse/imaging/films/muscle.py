"""The pectoral muscle in an oblique film.

It is what lies above the clearest straight edge that cuts off the upper corner at the chest wall, once that edge is
followed where it bends. A film without such an edge keeps all of its tissue.
"""

import numpy as np
from numpy.typing import NDArray

#: Least share of a film's tissue that is worth cutting off as muscle, the largest, and that of an edge which is not the
#: clearest.
_SLIVER, _MOST, _SECOND = 0.003, 0.46, 0.12

#: Millimetres over which an edge is looked at; to either side of the straight line the muscle's edge is followed.
_EDGE, _ASIDE = 2.0, 12.0

#: Millimetres to either side of an edge over which the muscle must be brighter, and by what share of the grey range.
_BESIDE, _CONTRAST = (2.0, 8.0), 0.05

#: Millimetres from the skin within which its own edge is seen, and within which tissue thins out.
_SKIN_EDGE, _THINNING = 3.0, 8.0

#: How many straight lines are tried, and how many millimetres they lie apart.
_TRIES, _APART = 4, 10.0

#: Share of the muscle that may be darker than what is beyond its edge.
_THROUGHOUT = 0.2

#: Share of the muscle's edge that must be an edge.
_FOLLOWED = 0.7

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def pectoral_muscle(coarse: Array, mask: Mask, step: float, dark: float) -> Mask:
    """The muscle in the upper left corner of a breast, or nothing.

    Parameters
    ----------
    coarse, mask
        (rows, columns), chest wall on the left.
    step
        Millimetres between their pixels.
    dark
        Grey level of the background.
    """
    from scipy import ndimage

    nothing = np.zeros_like(mask)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    part, inside = coarse[top : rows[-1] + 1, left : columns[-1] + 1], mask[top : rows[-1] + 1, left : columns[-1] + 1]
    bright = float(np.percentile(part[inside], 99)) - dark
    # Background continues the breast, so that the skin is no edge; only grey levels of tissue count.
    sigma = _EDGE / step
    smooth = (part - dark) / max(bright, 1e-6)
    down = ndimage.gaussian_filter(smooth, sigma, order=(1, 0), mode="nearest")
    across = ndimage.gaussian_filter(smooth, sigma, order=(0, 1), mode="nearest")
    # How far the skin is; breast goes on beyond the film's edges at the chest wall and above.
    depth = ndimage.distance_transform_edt(np.pad(inside, ((1, 1), (1, 1)), mode="edge"))[1:-1, 1:-1] * step
    deep, far = depth > _SKIN_EDGE, depth > _THINNING
    for rank, line in enumerate(_straight(down, across, deep, step)):
        path = _followed(line, down, across, deep, step)
        muscle = _corner(path, part.shape) & inside
        # What is not the clearest edge cuts off a small corner or nothing: large ones were dense tissue.
        share = float(muscle.sum()) / max(int(inside.sum()), 1)
        if _SLIVER <= share <= (_SECOND if rank else _MOST) and _is_muscle(path, muscle, smooth, far, step):
            nothing[top : rows[-1] + 1, left : columns[-1] + 1] = muscle
            break
    return nothing


def _sampled(values: Array, rows: Array, columns: Array) -> Array:
    from scipy import ndimage

    return np.asarray(ndimage.map_coordinates(values, [rows, columns], order=1, mode="nearest"))


def _straight(down: Array, across: Array, inside: Mask, step: float) -> list[tuple[float, float]]:
    """Lines from (row 0, column a) to (row b, column 0) along which brightness falls outwards most evenly.

    The best comes first; the others lie well beside it.
    """
    height, width = down.shape
    a, b = np.meshgrid(
        np.arange(round(8 / step), max(round(0.9 * width), round(8 / step) + 1), 2, dtype=float),
        np.arange(round(20 / step), max(round(1.15 * height), round(20 / step) + 1), 3, dtype=float),
        indexing="ij",
    )
    steep = (b / a > 0.9) & (b / a < 7)
    a, b = a[steep], b[steep]
    if not len(a):
        return []
    along = np.linspace(0.03, 0.97, 48)
    rows, columns = b[:, None] * along, a[:, None] * (1 - along)
    length = np.hypot(a, b)
    # The normal of the line points away from the corner.
    fall = -(
        _sampled(down, rows, columns) * (a / length)[:, None] + _sampled(across, rows, columns) * (b / length)[:, None]
    )
    seen = (rows < height - 1) & (_sampled(inside.astype(float), rows, columns) > 0.5)
    limit = max(float(np.percentile(np.abs(fall[seen]), 90)), 1e-9) if seen.any() else 1.0
    fall = np.clip(fall, -limit, limit) * seen
    count = seen.sum(axis=1)
    visible = count * length / len(along) * step
    # A long edge is worth more than a short one as clear, but less than in proportion.
    score = fall.sum(axis=1) / np.maximum(count, 1) * np.sqrt(np.minimum(visible, 120.0))
    score[(count < 0.5 * len(along)) | (visible < 20)] = -np.inf
    found: list[tuple[float, float]] = []
    while len(found) < _TRIES and score.max() > 0:
        best = int(np.argmax(score))
        found.append((float(a[best]), float(b[best])))
        score[np.hypot(a - a[best], 0.5 * (b - b[best])) < _APART / step] = -np.inf
    return found


def _followed(line: tuple[float, float], down: Array, across: Array, inside: Mask, step: float) -> Array:
    """The edge near a straight line, as (points, 2) rows and columns: the path along which brightness falls most."""
    a, b = line
    length = float(np.hypot(a, b))
    normal = np.array([a, b]) / length  # rows, columns
    along = np.arange(-0.1, 1.1, 1 / length)
    aside = np.arange(-round(_ASIDE / step), round(_ASIDE / step) + 1, dtype=float)
    rows = (b * along)[:, None] + aside * normal[0]
    columns = (a * (1 - along))[:, None] + aside * normal[1]
    fall = -(_sampled(down, rows, columns) * normal[0] + _sampled(across, rows, columns) * normal[1])
    height, width = down.shape
    seen = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    fall = np.where(seen & (_sampled(inside.astype(float), rows, columns) > 0.5), fall, 0.0)
    limit = max(float(np.percentile(fall, 95)), 1e-9)
    gain = np.clip(fall / limit, -1, 1) - 0.3 * (np.abs(aside) / aside[-1]) ** 2
    return _best_path(gain, rows, columns)


def _best_path(gain: Array, rows: Array, columns: Array) -> Array:
    """The path from the first row of ``gain`` to the last that collects most, moving by one at most, seldom."""
    steps, wide = gain.shape
    total, came = gain[0].copy(), np.zeros((steps, wide), dtype=np.int64)
    for index in range(1, steps):
        moves = np.full((3, wide), -np.inf)
        moves[0, 1:], moves[1], moves[2, :-1] = total[:-1] - 0.25, total, total[1:] - 0.25
        chosen = np.argmax(moves, axis=0)
        came[index] = np.arange(wide) + chosen - 1
        total = moves[chosen, np.arange(wide)] + gain[index]
    place = int(np.argmax(total))
    path = np.empty((steps, 2))
    for index in range(steps - 1, -1, -1):
        path[index] = rows[index, place], columns[index, place]
        place = int(came[index, place])
    return path


def _corner(path: Array, shape: tuple[int, ...]) -> Mask:
    """What lies between a path and the upper left corner."""
    from skimage.draw import polygon2mask

    first, last = path[0], path[-1]
    corners = [[min(first[0], -1.0), first[1]], *path, [last[0], min(last[1], -1.0)], [-1.0, -1.0]]
    return np.asarray(polygon2mask(shape[:2], np.array(corners)), dtype=np.bool_)


def _is_muscle(path: Array, muscle: Mask, smooth: Array, far: Mask, step: float) -> bool:
    """Whether what an edge cuts off is brighter along it than what is beyond it."""
    ends = path[-1] - path[0]
    normal = np.array([-ends[1], ends[0]]) / max(float(np.hypot(*ends)), 1e-9)
    if normal.sum() < 0:
        normal = -normal
    offsets = np.linspace(_BESIDE[0] / step, _BESIDE[1] / step, 5)
    within = (path[:, 0] >= 0) & (path[:, 0] < smooth.shape[0]) & (path[:, 1] >= 0) & (path[:, 1] < smooth.shape[1])
    path = path[within]
    if len(path) < 10:
        return False
    inner = path[:, None] - offsets[:, None] * normal
    outer = path[:, None] + offsets[:, None] * normal
    beyond = _sampled(smooth, outer[..., 0], outer[..., 1]).mean(axis=1)
    fall = _sampled(smooth, inner[..., 0], inner[..., 1]).mean(axis=1) - beyond
    # Where the muscle is too narrow to look into, nothing can be said; near the skin everything darkens outwards.
    there = (_sampled(far.astype(float), outer[:, -1, 0], outer[:, -1, 1]) > 0.5) & (inner[:, -1].min(axis=1) >= 1)
    if there.sum() < 10:
        return False
    fall = fall[there]
    # Dense tissue that reaches into the corner has fat in it; muscle is bright throughout.
    if np.quantile(smooth[muscle], _THROUGHOUT) < np.median(beyond[there]):
        return False
    return bool(np.median(fall) > _CONTRAST and (fall > 0.3 * _CONTRAST).mean() > _FOLLOWED)
