"""A picture with what a model attends to painted over it and the outline of the mask, for a person to judge."""

import io

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.contact_sheet import draw_slice
from relapse.imaging.slices import Picture

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
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count, size = len(picture.mask), picture.mask.shape[-1]
    strongest = float(attention.max()) if most is None else most
    share = np.clip(spread(attention, size) / strongest, 0, 1) if strongest > 0 else np.zeros((count, size, size))
    figure = Figure(figsize=(count * _INCHES, _INCHES), facecolor="white")
    FigureCanvasAgg(figure)
    for index, place in enumerate(figure.subplots(1, count, squeeze=False)[0]):
        place.set_axis_off()
        draw_slice(place, picture, index)
        colours = colormaps[_COLOURS](share[index])
        # Where nothing is seen the picture stays as it is.
        colours[..., 3] = _COVER * share[index]
        place.imshow(colours, interpolation="nearest")
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.01)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DOTS, metadata={"Software": None})
    return drawn.getvalue()
