"""The breast in a film: turned alike, without label, wedge and pectoral muscle, in grey levels that compare.

Nothing here is learnt. The breast is the largest smooth thing above a threshold; the muscle is what lies above the
clearest straight edge that cuts off the upper corner at the chest wall, once that edge is followed where it bends. A
film without such an edge keeps all of its tissue.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.faults import fault
from relapse.imaging.reading.film import Film, framed

#: Millimetres between pixels of a breast's image at the finest, and of the grid on which outlines are sought.
WORKING, _COARSE = 0.2, 0.8

#: Grey levels above this share of Li's threshold are breast, whose edge is dark.
_SKIN = 0.5

#: What is narrower than this many millimetres is no breast: labels, edges of the film, folds of cloth.
_NARROW = 6.0

#: Least area of a breast, in mm².
_SMALLEST = 800.0

#: Least share of a film's tissue that is worth cutting off as muscle, the largest, and that of an edge which is not the
#: clearest.
_SLIVER, _MOST, _SECOND = 0.003, 0.46, 0.12

#: By how much more of its height one side of a breast must be straight to be the chest wall.
_CLEARLY = 0.15

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

#: Percentiles of breast and muscle that become white; background is black.
_WHITE = 99.5

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Breast:
    """A film made alike: chest wall on the left, 0 background to 1 brightest.

    Parameters
    ----------
    image
        (rows, columns), 0 to 1.
    mask
        Breast tissue, without pectoral muscle, labels and wedge.
    pectoral
        The muscle; empty where none is seen.
    spacing
        Millimetres between pixels: the film's own, or :data:`WORKING` where the film is finer.
    mirrored
        Whether left and right were exchanged.
    scale
        Pixels of the film a pixel of the image.
    shape
        Rows and columns of the film.
    notes
        What a radiologist should know.
    """

    image: NDArray[np.float32]
    mask: Mask
    pectoral: Mask
    spacing: float
    mirrored: bool
    scale: float
    shape: tuple[int, int]
    notes: tuple[str, ...] = ()

    def of_film(self, x: float, y: float) -> tuple[float, float]:
        """Where (row, column) of the image column ``x`` and row ``y`` of the film lie."""
        rows, columns = self.shape
        if self.mirrored:
            x = columns - 1 - x
        return (
            (y + 0.5) * self.image.shape[0] / rows - 0.5,
            (x + 0.5) * self.image.shape[1] / columns - 0.5,
        )

    def to_film(self, row: float, column: float) -> tuple[float, float]:
        """Column and row of the film of a row and column of the image."""
        rows, columns = self.shape
        x = (column + 0.5) * columns / self.image.shape[1] - 0.5
        y = (row + 0.5) * rows / self.image.shape[0] - 0.5
        return (columns - 1 - x if self.mirrored else x), y


def breast_of(film: Film) -> Breast:
    """Find the breast in a film.

    The film must have the head up, as films are stored; which side the chest wall is on is seen in the film, since
    films and scans are mirrored at will.

    Raises
    ------
    ImageError
        Nothing in the film can be a breast (``film-empty``).
    """
    notes = []
    fine = resized(film.values, min(1.0, film.spacing / WORKING))
    scale = film.values.shape[0] / fine.shape[0]
    spacing = film.spacing * scale
    by = min(1.0, spacing / _COARSE)
    coarse = resized(fine, by).astype(np.float64)
    step = spacing / by
    found, dark = _whole(coarse, step)
    mirrored = _chest_on_right(found, coarse)
    if mirrored:
        coarse, found, fine = coarse[:, ::-1], found[:, ::-1], fine[:, ::-1]
    muscle = np.zeros_like(found)
    if (film.view or "").upper() != "CC":
        muscle = pectoral_muscle(coarse, found, step, dark)
        if not muscle.any():
            notes.append("No pectoral muscle was seen; nothing was cut off.")
    whole, pectoral = enlarged(found, fine.shape), enlarged(muscle, fine.shape)
    pectoral &= whole
    white = float(np.percentile(fine[whole], _WHITE))
    image = np.clip((fine - dark) / max(white - dark, 1e-6), 0, 1).astype(np.float32)
    rows, columns = film.values.shape
    return Breast(
        np.ascontiguousarray(image),
        whole & ~pectoral,
        pectoral,
        spacing,
        mirrored,
        scale,
        (rows, columns),
        tuple(notes),
    )


def resized(values: NDArray[np.float32], by: float) -> NDArray[np.float32]:
    """A picture made smaller by a factor; each pixel is the mean of the area that it covers."""
    from PIL import Image

    if by >= 1:
        return np.ascontiguousarray(values, dtype=np.float32)
    rows, columns = (max(1, round(size * by)) for size in values.shape)
    picture = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(picture.resize((columns, rows), Image.Resampling.BOX))


def enlarged(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """A mask on a finer grid, with its steps smoothed away."""
    from PIL import Image

    if not mask.any():
        return np.zeros(shape, dtype=np.bool_)
    picture = Image.fromarray(mask.astype(np.float32))
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)) > 0.5


def _whole(coarse: Array, step: float) -> tuple[Mask, float]:
    """Breast and muscle on the coarse grid, and the grey level of what is beside them."""
    from scipy import ndimage
    from skimage.filters import threshold_li
    from skimage.morphology import disk

    smooth = ndimage.gaussian_filter(coarse, 0.8 / step)
    inside = framed(smooth.astype(np.float32)).astype(np.float64)
    dark = float(np.percentile(inside, 2))
    lifted = inside - dark
    threshold = dark + _SKIN * float(threshold_li(lifted)) if np.ptp(lifted) > 0 else dark
    above = smooth > threshold
    # At its sides the film is opened as if it went on, so that nothing is lost at the chest wall; a bright line along
    # the upper edge must not tie a label to the breast.
    radius = max(1, round(_NARROW / 2 / step))
    element = disk(radius)
    padded = np.pad(np.pad(above, ((0, 0), (radius, radius)), mode="edge"), ((radius, radius), (0, 0)))
    opened = ndimage.binary_opening(padded, element)[radius:-radius, radius:-radius]
    labels, count = ndimage.label(opened)
    if not count:
        raise fault("film-empty", "no breast is seen in the film.")
    sizes = ndimage.sum_labels(opened, labels, np.arange(1, count + 1))
    # A wedge or a strip of light along the film's edge can be large, and is as bright everywhere as film can be.
    level = ndimage.mean(coarse, labels, np.arange(1, count + 1))
    spread = ndimage.standard_deviation(coarse, labels, np.arange(1, count + 1))
    bright = float(np.percentile(coarse, 99.8))
    flat = (np.asarray(level) > 0.9 * bright) & (np.asarray(spread) < 0.1 * bright)
    order = np.where(flat, 0.1, 1.0) * np.asarray(sizes)
    breast = labels == 1 + int(np.argmax(order))
    # What opening rounded off comes back.
    breast = ndimage.binary_fill_holes(above & ndimage.binary_dilation(breast, element))
    if breast.sum() * step**2 < _SMALLEST:
        raise fault("film-empty", "no breast is seen in the film: nothing bright in it is large enough.")
    return np.asarray(breast, dtype=np.bool_), dark


def _chest_on_right(mask: Mask, coarse: Array) -> bool:
    """Whether the chest wall is on the right: the breast is cut off straight there, and bulges to the other side."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = mask.shape[1]
    left = np.argmax(mask[rows], axis=1)
    right = columns - 1 - np.argmax(mask[rows, ::-1], axis=1)

    def straight(edge: NDArray[np.int_]) -> float:
        counts = np.bincount(edge, minlength=columns)
        return float(np.convolve(counts, np.ones(3), mode="same").max() / len(rows))

    found = straight(right) - straight(left)
    if abs(found) > _CLEARLY:
        return found > 0
    # A breast that fills the film: at the chest wall there is more tissue, and muscle.
    whole = np.flatnonzero(mask.any(axis=0))
    third = max(1, len(whole) // 3)
    levels = [float(coarse[:, part][mask[:, part]].mean()) for part in (whole[:third], whole[-third:])]
    return levels[1] > levels[0]


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
