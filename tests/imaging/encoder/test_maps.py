"""The trunk runs once for each view of each picture; what it leaves is kept, and does not hang on the neighbours."""

from pathlib import Path

import numpy as np
import pytest
import torch

from relapse.imaging.encoder.maps import gathered, make_maps, trunk, views
from relapse.machinery import Machinery

from .making import encoder, pictures


def test_views_are_turns_and_reflections_and_the_first_is_plain() -> None:
    square = np.arange(2 * 9).reshape(2, 3, 3)
    made = views(square, 8)
    np.testing.assert_array_equal(made[0], square)
    assert len({one.tobytes() for one in made}) == 8
    for one in made:
        assert sorted(one[0].ravel()) == list(range(9))
    with pytest.raises(ValueError, match="1 to 8 views"):
        views(square, 9)


def test_trunk_and_rest_make_the_whole_network() -> None:
    made = encoder()
    image = torch.from_numpy(pictures(1)[0].channels.astype(np.float32))
    found = trunk(made, image)
    block = list(made.module.features.denseblock2.children())
    for layer in block[len(block) - made.depth :]:
        found = layer(found)
    found = made.module.class_layers(made.module.features.norm5(found))
    torch.testing.assert_close(found, made.module(image))


def test_maps_are_kept_and_found_again(tmp_path: Path) -> None:
    made, some = encoder(), pictures(3, slices=2)
    asked: list[str] = []

    def read(image: str):
        asked.append(image)
        return some[int(image)]

    first = gathered(made, ["0", "1"], read, tmp_path, count=3)
    again = gathered(made, ["2", "1", "0"], read, tmp_path, count=3)
    assert asked == ["0", "1", "2"]
    assert again.values.shape[:3] == (3, 2, 3)
    assert first.side**2 == first.values.shape[3]
    np.testing.assert_array_equal(again.values[[2, 1]], first.values)
    # Another trunk, another number of views: other maps.
    gathered(encoder(9), ["0"], read, tmp_path, count=3)
    gathered(made, ["0"], read, tmp_path, count=2)
    assert asked == ["0", "1", "2", "0", "0"]


def test_a_damaged_map_is_made_again(tmp_path: Path) -> None:
    made, some = encoder(), pictures(1)
    first = gathered(made, ["0"], lambda _: some[0], tmp_path)
    (path,) = tmp_path.rglob("*.npy")
    path.write_bytes(path.read_bytes()[:50])
    np.testing.assert_array_equal(gathered(made, ["0"], lambda _: some[0], tmp_path).values, first.values)


def test_the_plain_view_is_the_same_whatever_the_number_of_views() -> None:
    made, (one,) = encoder(), pictures(1)
    np.testing.assert_allclose(make_maps(made, one, 1)[:, 0], make_maps(made, one, 4)[:, 0], atol=1e-5)


def test_workers_make_the_same_maps(tmp_path: Path) -> None:
    made, some = encoder(), pictures(20)
    images = [str(number) for number in range(20)]
    machine = Machinery(workers=2, tracking_uri="", artifact_root=None, backend="threading")
    one = gathered(made, images, lambda image: some[int(image)], tmp_path / "one", count=2)
    two = gathered(made, images, lambda image: some[int(image)], tmp_path / "two", count=2, machinery=machine)
    np.testing.assert_allclose(one.values, two.values, atol=1e-6)
