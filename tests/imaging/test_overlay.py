"""What is attended to lies where it was, over the picture that it was found in."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

from relapse.imaging.overlay import paint, spread
from relapse.imaging.slices import Picture


def shown(slices: int = 2, size: int = 64) -> Picture:
    rng = np.random.default_rng(0)
    mask = np.zeros((slices, size, size), bool)
    mask[:, 20:40, 24:44] = True
    channels = rng.standard_normal((slices, 3, size, size)).astype(np.float16)
    return Picture(channels, mask, np.full(slices, 40, np.float32))


def test_a_map_is_spread_evenly_from_the_middles_of_its_places() -> None:
    attention = np.zeros((1, 4, 4))
    attention[0, 1, 2] = 3.0
    found = spread(attention, 64)
    assert found.shape == (1, 64, 64)
    rows, columns = np.indices((64, 64)) + 0.5
    total = found[0].sum()
    # The third of four places in its row, the second from above.
    assert (rows * found[0]).sum() / total == pytest.approx(24)
    assert (columns * found[0]).sum() / total == pytest.approx(40)
    np.testing.assert_allclose(spread(np.full((2, 7, 7), 0.5), 224), 0.5)


def test_colour_stands_where_attention_is_and_nowhere_else() -> None:
    attention = np.zeros((2, 4, 4))
    attention[1, 0, 0] = 1.0
    page = imread(io.BytesIO(paint(shown(), attention)))[..., :3]
    coloured = np.ptp(page, axis=-1) > 0.02
    height, width = coloured.shape
    assert width / height == pytest.approx(2, rel=0.05)
    corner = coloured[: height // 8, :]
    assert corner[:, width // 2 + height // 50 : width // 2 + height // 8].mean() > 0.9
    assert not corner[:, : width // 4].any()
    # The outline of the mask, and nothing else, in the slice that nothing is seen in.
    assert 0 < coloured[:, : width // 2].mean() < 0.03


def test_the_same_is_the_same_bytes_and_a_common_scale_is_kept() -> None:
    attention = np.random.default_rng(0).random((2, 4, 4))
    page = paint(shown(), attention)
    assert page.startswith(b"\x89PNG")
    assert page == paint(shown(), attention)
    assert page == paint(shown(), attention, most=float(attention.max()))
    assert page != paint(shown(), attention, most=5.0)
    assert paint(shown(), np.zeros((2, 4, 4))) == paint(shown(), attention, most=1e9)
