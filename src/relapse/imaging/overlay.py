"""A picture with what a model attends to painted over it and the outline of the mask, for a person to judge."""

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.contact_sheet import draw_slice
from relapse.imaging.slices import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

#: Inches of a slice's side; dots an inch; how much of the picture the strongest attention covers; its colours.
_INCHES, _DOTS, _COVER, _COLOURS = 2.24, 150, 0.65, "inferno"


def spread(attention: Array, size: int) -> Array:
    """A map (…, side, side) over pictures of ``size`` × ``size``: linear between the middles of its places."""
    from scipy.ndimage import zoom

    by = size / attention.shape[-1]
    factors = (*[1] * (attention.ndim - 2), by, by)
    return np.asarray(zoom(attention, factors, order=1, mode="nearest", grid_mode=True))


def paint(picture: Picture, attention: Array, *, most: float | None = None) -> bytes:
    """Draw every slice of a picture, one beside the other, as a PNG file; the same gives the same bytes.

    Parameters
    ----------
    attention
        (slices, side, side), 0 or more, as :func:`relapse.imaging.encoder.plain.attention` gives it.
    most
        What is painted in full; by default the largest value, so that slices of one picture compare. The same number
        for several pictures makes them comparable too.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = len(picture.mask)
    strongest = float(attention.max()) if most is None else most
    figure = Figure(figsize=(count * _INCHES, _INCHES), facecolor="white")
    FigureCanvasAgg(figure)
    for index, place in enumerate(figure.subplots(1, count, squeeze=False)[0]):
        draw_painted(place, picture, attention, index, most=strongest)
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.01)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DOTS, metadata={"Software": None})
    return drawn.getvalue()


def draw_painted(axes: "Axes", picture: Picture, attention: Array, index: int, *, most: float) -> None:
    """Draw one slice of a picture and what is attended to in it; ``most`` is painted in full."""
    from matplotlib import colormaps

    axes.set_axis_off()
    draw_slice(axes, picture, index)
    if most <= 0:
        return
    share = np.clip(spread(attention[index], picture.mask.shape[-1]) / most, 0, 1)
    colours = colormaps[_COLOURS](share)
    # Where nothing is seen the picture stays as it is.
    colours[..., 3] = _COVER * share
    axes.imshow(colours, interpolation="nearest")
