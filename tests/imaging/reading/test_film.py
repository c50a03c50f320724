"""Films from files: every format gives the same numbers, and every fault has one clear message."""

import contextlib
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relapse.ground.errors import ImageError
from relapse.imaging.reading.film import bright_background, film_from, read_film
from relapse.imaging.reading.film_stored import About

from ..films.drawn import SPACING, Drawn, draw

HERE = About(spacing=SPACING)
NAME = "Muster^Anna"


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw()


def dicom(values: np.ndarray[Any, Any], **changes: Any) -> bytes:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation as Mammogram
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = changes.pop("syntax", ExplicitVRLittleEndian)
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = Mammogram
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid(entropy_srcs=["film"])
    data.PatientName, data.PatientID = NAME, "P-17"
    data.Rows, data.Columns = values.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.ImagerPixelSpacing = [SPACING, SPACING]
    data.ImageLaterality, data.ViewPosition = "L", "MLO"
    data.PixelData = values.astype("<u2").tobytes()
    for name, value in changes.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    stream = io.BytesIO()
    data.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def picture(values: np.ndarray[Any, Any], kind: str = "PNG", **options: Any) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(values).save(stream, format=kind, **options)
    return stream.getvalue()


def pgm(values: np.ndarray[Any, Any], largest: int) -> bytes:
    rows, columns = values.shape
    kind = "u1" if largest < 256 else ">u2"
    return f"P5\n# drawn\n{columns} {rows}\n{largest}\n".encode() + values.astype(kind).tobytes()


def refused(content: bytes, about: About = HERE) -> ImageError:
    with pytest.raises(ImageError) as caught:
        film_from(content, about)
    assert str(caught.value)
    assert "Muster" not in str(caught.value)
    assert "P-17" not in str(caught.value)
    return caught.value


def test_every_format_gives_the_numbers_that_were_stored(drawn: Drawn) -> None:
    values = drawn.values
    small = (values // 16).astype(np.uint8)
    for content, bits, expected in (
        (dicom(values), 12, values),
        (picture(values), 16, values),
        (picture(values, "TIFF", compression="tiff_deflate"), 16, values),
        (picture(values.astype(np.float32), "TIFF"), 32, values),
        (pgm(values, 4095), 12, values),
        (picture(small), 8, small),
        (pgm(small, 255), 8, small),
        (picture(np.repeat(small[..., None], 3, axis=2)), 8, small),
    ):
        film = film_from(content, HERE)
        np.testing.assert_array_equal(film.values, expected)
        assert film.values.dtype == np.float32
        assert film.bits == bits
        assert film.spacing == SPACING


def test_a_header_says_spacing_side_view_and_patient(drawn: Drawn) -> None:
    film = film_from(dicom(drawn.values))
    assert (film.spacing, film.laterality, film.view, film.patient) == (SPACING, "L", "MLO", "P-17")
    film = film_from(dicom(drawn.values, PixelSpacing=[0.4, 0.4]))
    assert film.spacing == 0.4
    film = film_from(dicom(drawn.values, EstimatedRadiographicMagnificationFactor=2))
    assert film.spacing == SPACING / 2
    assert "magnified" in film.notes[0]
    film = film_from(dicom(drawn.values), About(spacing=0.3, view="CC"))
    assert (film.spacing, film.view, film.laterality) == (0.3, "CC", "L")


def test_dark_tissue_is_made_bright(drawn: Drawn) -> None:
    turned = 4095 - drawn.values
    film = film_from(dicom(turned, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(np.argsort(film.values[100]), np.argsort(drawn.values[100].astype(np.float32)))
    film = film_from(picture(turned), About(SPACING, inverted=True))
    np.testing.assert_array_equal(np.diff(film.values), np.diff(drawn.values.astype(np.float32)))
    film = film_from(picture(turned), About(SPACING, inverted=False))
    assert "right way round" in film.notes[0]


def test_an_inverted_film_is_told_from_one_that_is_not() -> None:
    for dense in (0.0, 0.3, 0.6):
        for muscle, wedge in ((True, False), (False, True)):
            values = draw(dense=dense, muscle=muscle, wedge=wedge).values.astype(np.float32)
            assert not bright_background(values)
            assert bright_background(4095 - values)


def test_padding_is_background(drawn: Drawn) -> None:
    values = drawn.values.copy()
    values[-40:] = 4095
    film = film_from(dicom(values, PixelPaddingValue=4095))
    assert film.values[-20:].max() == film.values.min()


def test_faults_each_have_their_code(drawn: Drawn) -> None:
    values = drawn.values
    png, dcm, grey = picture(values), dicom(values), pgm(values, 4095)
    colours = np.stack([values // 16, values // 20, values // 16], axis=2).astype(np.uint8)
    nan = values.astype(np.float32)
    nan[3, 4] = np.nan
    stream = io.BytesIO()
    from PIL import Image

    pages = [Image.fromarray(values), Image.fromarray(values)]
    pages[0].save(stream, format="TIFF", save_all=True, append_images=pages[1:])
    cases: list[tuple[str, bytes, About]] = [
        ("file-empty", b"", HERE),
        ("file-truncated", png[:20], HERE),
        ("file-truncated", png[: len(png) // 2], HERE),
        ("file-truncated", grey[:-1], HERE),
        ("file-truncated", grey[:7], HERE),
        ("file-truncated", dcm[:-1000], HERE),
        ("pixels-absent", dcm[:300], HERE),
        ("file-truncated", picture(values, "TIFF")[:-5000], HERE),
        ("file-foreign", b"GIF89a" + bytes(500), HERE),
        ("file-foreign", b"P2\n2 2\n9\n1 2 3 4\n", HERE),
        ("not-greyscale", picture(colours), HERE),
        ("not-greyscale", b"P6\n2 2\n255\n" + bytes(12), HERE),
        ("not-greyscale", dicom(values, PhotometricInterpretation="RGB"), HERE),
        ("film-coarse", picture(values > 500), HERE),
        ("film-coarse", picture(values[:64, :64]), HERE),
        ("film-coarse", picture((values // 1024).astype(np.uint8)), HERE),
        ("constant", picture(np.full_like(values, 7)), HERE),
        ("not-finite", picture(nan, "TIFF"), HERE),
        ("not-finite", dicom(values, RescaleSlope="1e38"), HERE),
        ("spacing-absent", png, About()),
        ("spacing-absent", dicom(values, ImagerPixelSpacing=None), About()),
        ("spacing-implausible", png, About(2.0)),
        ("spacing-implausible", png, About(0.001)),
        ("spacing-implausible", png, About(float("nan"))),
        ("spacing-implausible", png, About(0.05)),
        ("spacing-implausible", dicom(values, ImagerPixelSpacing=[0.5, 0.7]), About()),
        ("film-inverted", picture(4095 - values), HERE),
        ("film-inverted", dicom(4095 - values), About()),
        ("film-laterality", dcm, About(laterality="R")),
        ("film-frames", dicom(np.repeat(values, 2, axis=0), Rows=values.shape[0], NumberOfFrames=2), HERE),
        ("film-frames", stream.getvalue(), HERE),
        ("pixels-absent", dicom(values, Rows=None), HERE),
        ("pixels-compressed", _lossless(values), HERE),
        ("header-broken", pgm(values, 4095).replace(b"4095", b"0"), HERE),
    ]
    for code, content, about in cases:
        assert refused(content, about).code == code, (code, len(content))


def _lossless(values: np.ndarray[Any, Any]) -> bytes:
    """JPEG-LS, for which there is no decoder."""
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGLSLossless

    return dicom(values, syntax=JPEGLSLossless, PixelData=encapsulate([bytes(1000)]))


def test_size_is_judged_before_pixels_are_decoded(drawn: Drawn) -> None:
    size = struct.pack(">II", 20_000, 20_000)
    chunk = b"IHDR" + size + bytes([8, 0, 0, 0, 0])
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    for content in (
        png + bytes(100),
        b"P5 20000 20000 255\n",
        dicom(drawn.values, Rows=20_000, Columns=20_000),
    ):
        assert refused(content).code == "file-too-large"
    tiff = bytearray(picture(drawn.values, "TIFF"))
    # Width and height are the first two entries of its directory, of 12 bytes each.
    start = int.from_bytes(tiff[4:8], "little") + 2
    for number in range(2):
        tiff[start + 12 * number + 8 : start + 12 * number + 12] = struct.pack("<I", 20_000)
    assert refused(bytes(tiff)).code == "file-too-large"


def test_a_message_names_the_file_and_nobody(drawn: Drawn, tmp_path: Path) -> None:
    path = tmp_path / "film7.png"
    with pytest.raises(ImageError, match=r"film7\.png: cannot be opened"):
        read_film(path, HERE)
    path.write_bytes(picture(drawn.values))
    assert read_film(path, HERE).values.shape == drawn.values.shape
    with pytest.raises(ImageError, match=r"^film7\.png: .*Declare the spacing"):
        read_film(path)


def test_damage_anywhere_is_a_fault_or_a_film(drawn: Drawn) -> None:
    rng = np.random.default_rng(5)
    for content in (dicom(drawn.values), picture(drawn.values, "TIFF"), picture(drawn.values)):
        for _ in range(40):
            damaged = bytearray(content)
            for place in rng.integers(0, 1200, 4):
                damaged[place] = rng.integers(256)
            with contextlib.suppress(ImageError):
                film_from(bytes(damaged), HERE)
