"""A network that is trained for a second finds drawn masses, the same each time, and runs without torch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from relapse.ground.errors import SourceError
from relapse.imaging.films.lesion import LesionNet, cut, largest_diameter, looked_at, outline, propose, standardised
from relapse.imaging.films.unet import circle_windows, phantom_windows, train_lesion

from .lumps import breast, laid

pytest.importorskip("torch")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def content() -> bytes:
    taught = phantom_windows([breast(seed) for seed in range(4)], 64, 0)
    return train_lesion(taught.windows, taught.masks, seed=0, epochs=4, width=6)


@pytest.fixture(scope="module")
def net(content: bytes) -> LesionNet:
    return LesionNet(content)


def test_training_gives_equal_bytes_for_equal_seeds() -> None:
    taught = phantom_windows([breast(0)], 12, 0)
    made = [train_lesion(taught.windows, taught.masks, seed=seed, epochs=1, width=4) for seed in (0, 0)]
    assert made[0] == made[1]


def test_a_drawn_mass_is_outlined_where_it_is_marked(net: LesionNet) -> None:
    overlaps = []
    for seed in range(6):
        whole, mask = laid(
            breast(20 + seed), np.random.default_rng(seed), shape=1, margin=0, diameter=24.0, contrast=0.3
        )
        row, column = np.argwhere(mask).mean(0)
        found = outline(net, whole, (row + 2, column - 2, None))
        assert found is not None
        assert found.diameter_mm == pytest.approx(largest_diameter(found.mask, whole.spacing))
        assert 0 <= found.certainty <= 1
        assert not (found.mask & ~whole.mask).any()
        overlaps.append(2 * (found.mask & mask).sum() / (found.mask.sum() + mask.sum()))
    assert np.median(overlaps) > 0.6


def test_a_radius_bounds_what_is_outlined(net: LesionNet) -> None:
    whole, mask = laid(breast(31), np.random.default_rng(1), shape=1, margin=0, diameter=40.0, contrast=0.3)
    row, column = np.argwhere(mask).mean(0)
    found = outline(net, whole, (row, column, 10.0))
    assert found is not None
    places = np.argwhere(found.mask)
    assert np.hypot(places[:, 0] - row, places[:, 1] - column).max() <= 11.5


def test_the_one_mass_is_proposed_more_often_than_chance(net: LesionNet) -> None:
    hits = []
    for seed in range(5):
        whole, mask = laid(
            breast(40 + seed), np.random.default_rng(seed), shape=1, margin=0, diameter=28.0, contrast=0.35
        )
        found = propose(net, whole)
        assert found is not None
        hits.append(bool(mask[round(found[0]), round(found[1])]))
    # A mass covers a fifteenth of such a breast.
    assert sum(hits) >= 3


def test_a_finer_image_gives_the_same_place_and_size(net: LesionNet) -> None:
    coarse, mask = laid(
        breast(50, shape=(300, 240), spacing=0.4),
        np.random.default_rng(0),
        shape=1,
        margin=0,
        diameter=20.0,
        contrast=0.3,
    )
    fine = type(coarse)(
        np.kron(coarse.image, np.ones((2, 2), np.float32)), np.kron(coarse.mask, np.ones((2, 2))) > 0, 0.2
    )
    row, column = np.argwhere(mask).mean(0)
    first, second = (
        outline(net, coarse, (row, column, None)),
        outline(net, fine, (2 * row + 0.5, 2 * column + 0.5, None)),
    )
    assert first is not None
    assert second is not None
    assert second.diameter_mm == pytest.approx(first.diameter_mm, rel=0.06)
    assert (second.row, second.column) == pytest.approx((2 * first.row + 0.5, 2 * first.column + 0.5), abs=3)


def test_a_mark_at_the_corner_of_the_image_does_no_harm(net: LesionNet) -> None:
    found = outline(net, breast(1), (0.0, 159.0, None))
    assert found is None or found.mask.any()


def test_windows_hang_neither_on_gain_nor_on_offset() -> None:
    image, mask, spacing = looked_at(breast(3))
    window = cut(image, mask, 100, 60, 40.0, spacing)
    assert window.shape == (128, 128)
    # As long as tissue varies by more than noise does.
    assert np.abs(cut(1.5 * image + 0.2, mask, 100, 60, 40.0, spacing) - window).max() < 1e-3
    assert np.isfinite(standardised(np.zeros((128, 128), np.float32), np.ones((128, 128), np.bool_))).all()


def test_windows_of_circles_hold_the_circle() -> None:
    one = breast(5)
    taught = circle_windows([(one, 100.0, 50.0, 15.0)], 8, 0, weight=0.3)
    assert len(taught.windows) == 8
    assert (taught.weights == np.float32(0.3)).all()
    for mask in taught.masks:
        assert 0.12 <= largest_diameter(mask, 1.0) / 128 <= 0.75
    assert len(circle_windows([], 8, 0).windows) == 0


def test_another_file_is_refused(content: bytes) -> None:
    with pytest.raises(SourceError, match="no ONNX model"):
        LesionNet(b"no network")
    with pytest.raises(SourceError, match=r"damaged|another model"):
        LesionNet(content[: len(content) // 2])


def test_the_network_runs_where_torch_is_not(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "lesion.onnx"
    path.write_bytes(content)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from relapse.imaging.films.lesion import LesionNet\n"
        f"net = LesionNet(open({str(path)!r}, 'rb').read())\n"
        "print(net.masks(np.zeros((3, 128, 128), np.float32)).shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(3, 128, 128)"
