"""A film becomes proposals and a picture: one at a time, nothing kept, nothing repeated, nothing predicted."""

import base64
import io
import json
import logging
import threading
import time

import jsonschema
import numpy as np
import pytest

from relapse.bundle.load import describe_bundle
from relapse.imaging.films import sheet
from relapse.imaging.films.breast import breast_of
from relapse.imaging.films.reading import Region
from relapse.imaging.reading.film import film_from
from relapse.imaging.reading.film_stored import About
from relapse.serving import films, guard
from relapse.serving.patients import proposed_features
from tests.bundle.filmed import beside, drawn, truth
from tests.serving.conftest import client_of, service_of

SPACING = {"spacing": "0.5"}


def send(client, content, *, name="Jane Doe.png", **fields):
    """A film as a client sends it."""
    return client.post("/film", files={"film": (name, content)}, data=fields)


def problem(answer) -> dict[str, str]:
    (error,) = answer.json()["errors"]
    return error


@pytest.fixture(scope="module")
def reading(pond):
    """The same film as the reader of the bundle reads it."""
    reader = describe_bundle(pond.bundle).film_reader.opened()
    return reader.read(film_from(drawn(), About(spacing=0.5)))


@pytest.fixture(scope="module")
def made(pond_client):
    """What the service read of a film with a lesion."""
    answer = send(pond_client, drawn(), **SPACING)
    assert answer.status_code == 200, answer.text
    return answer.json()


def by_feature(answer) -> dict[str, dict[str, object]]:
    return {one["field"]: one for one in answer["proposals"]}


def test_what_is_read_stands_under_the_cohorts_names_and_levels(made, pond, reading):
    found = reading
    values = by_feature(made)
    assert list(values) == ["diameter", "form", "border", "dense"]
    assert values["diameter"]["value"] == pytest.approx(found.size.value, abs=0.05)
    assert values["diameter"]["interval"] == {
        "lower": round(found.size.low, 1),
        "upper": round(found.size.high, 1),
        "level": 0.9,
    }
    assert values["form"]["value"] == pond.cohort.features["form"].levels[str(found.shape.value)]
    assert values["form"]["confidence"] == pytest.approx(found.shape.confidence, abs=1e-4)
    assert list(values["dense"]["probabilities"].values()) == pytest.approx(found.density.probabilities, abs=1e-4)
    for one in values.values():
        assert one["probabilities"] is None or one["probabilities"][one["value"]] == one["confidence"]
    assert made["percent"] == pytest.approx(found.percent, abs=0.05)
    assert (made["rows"], made["columns"], made["spacing"]) == (320, 240, 0.5)


def test_codes_that_the_cohort_calls_alike_count_together(made, reading):
    sharp, low, high, spiculated = reading.margin.probabilities
    border = by_feature(made)["border"]
    assert list(border["probabilities"]) == ["sharp", "blurred", "spiculated"]
    assert list(border["probabilities"].values()) == pytest.approx([sharp, low + high, spiculated], abs=1e-4)
    assert border["value"] == max(border["probabilities"], key=border["probabilities"].get)


def test_where_the_cohort_has_no_level_for_what_is_read_nothing_is_proposed(pond, reading):
    features = dict(pond.cohort.features)
    few = {code: name for code, name in features["form"].levels.items() if code != str(reading.shape.value)}
    cohort = pond.cohort.model_copy(
        update={"features": features | {"form": features["form"].model_copy(update={"levels": few})}}
    )
    reader = describe_bundle(pond.bundle).film_reader
    found = films.read(drawn(), About(spacing=0.5), None, cohort, reader)
    (form,) = [one for one in found.proposals if one.field == "form"]
    assert (form.value, form.confidence, list(form.probabilities)) == (None, None, list(few.values()))
    assert sum(form.probabilities.values()) == pytest.approx(1 - reading.shape.confidence, abs=1e-3)


@pytest.mark.parametrize("right", [False, True])
def test_a_place_clicked_in_the_preview_is_the_films_own(pond_client, pond, right):
    from PIL import Image

    side = {"laterality": "R"} if right else {}
    answer = send(pond_client, drawn(right=right), **SPACING, **side).json()
    with Image.open(io.BytesIO(base64.b64decode(answer["preview"]))) as image:
        assert image.size == (answer["width"], answer["height"])
        seen = np.asarray(image.convert("RGB"))
    film = film_from(drawn(right=right), About(spacing=0.5))
    found = describe_bundle(pond.bundle).film_reader.opened().read(film)
    breast = breast_of(film)
    # The same pixel of the breast by way of the preview, where the lesion's outline is painted, and of the breast itself.
    rows, columns = np.nonzero((seen == sheet.LESION).all(axis=-1))
    for row, column, inside in ((rows.min(), columns.min(), np.min), (rows.max(), columns.max(), np.max)):
        places = np.argwhere(found.lesion)
        expected = breast.to_film(*inside(places, axis=0))
        x = answer["x"]["first"] + column * answer["x"]["step"]
        y = answer["y"]["first"] + row * answer["y"]["step"]
        assert (x, y) == (pytest.approx(expected[0], abs=0.01), pytest.approx(expected[1], abs=0.01))
    assert (answer["x"]["step"] < 0) == right
    again = send(pond_client, drawn(right=right), **SPACING, **side, x=str(x), y=str(y)).json()
    assert (again["proposed"], again["region"]) == (False, {"x": x, "y": y, "radius": None})


def test_a_lesion_is_looked_for_where_it_was_marked(pond_client, pond):
    row, column = truth().centre
    marked = send(pond_client, drawn(), **SPACING, x=str(column), y=str(row), radius="30").json()
    reader = describe_bundle(pond.bundle).film_reader.opened()
    found = reader.read(film_from(drawn(), About(spacing=0.5)), Region(column, row, 30.0))
    assert by_feature(marked)["diameter"]["value"] == pytest.approx(found.size.value, abs=0.05)
    assert marked["region"] == {"x": column, "y": row, "radius": 30.0}


def test_where_no_lesion_is_found_its_values_are_open_and_the_density_is_read(pond_client, made):
    answer = send(pond_client, drawn(), **SPACING, **{name: str(at) for name, at in beside().items()}).json()
    found = by_feature(answer)
    assert [found[name]["value"] for name in ("diameter", "form", "border")] == [None] * 3
    assert found["dense"] == by_feature(made)["dense"]
    assert any("No lesion was found" in note for note in answer["notes"])


def test_proposals_are_taken_by_predict_as_any_values(pond_client, made):
    patient = {one["field"]: one["value"] for one in made["proposals"]} | {"subtype": "Luminal B"}
    answer = pond_client.post("/predict", json=patient)
    assert answer.status_code == 200
    corrected = pond_client.post("/predict", json=patient | {"diameter": 149})
    assert corrected.json()["risk"] > answer.json()["risk"]


REFUSED = {
    "no spacing": (drawn, {}, "spacing", "Declare the spacing"),
    "a spacing in words": (drawn, {"spacing": "Jane"}, "spacing", "Not a number."),
    "an infinite spacing": (drawn, {"spacing": "inf"}, "spacing", "Not a number."),
    "a spacing of no mammogram": (drawn, {"spacing": "4.862951"}, "spacing", "Outside the allowed range."),
    "two spacings": (drawn, {"spacing": ["0.5", "0.4"]}, "spacing", "Given more than once"),
    "a foreign side": (drawn, SPACING | {"laterality": "Jane"}, "laterality", "Allowed: L or R"),
    "a foreign view": (drawn, SPACING | {"view": "Jane"}, "view", "Allowed: CC or MLO"),
    "a word for inverted": (drawn, SPACING | {"inverted": "Jane"}, "inverted", "Allowed: true or false"),
    "a column without a row": (drawn, SPACING | {"x": "3"}, "y", "x and y together"),
    "a radius alone": (drawn, SPACING | {"radius": "3"}, "x", "x and y together"),
    "a radius of nothing": (drawn, SPACING | {"x": "3", "y": "3", "radius": "0"}, "radius", "Not above 0."),
    "a radius beyond all": (drawn, SPACING | {"x": "3", "y": "3", "radius": "4862951"}, "radius", "larger than the film"),
    "a place beyond": (drawn, SPACING | {"x": "240", "y": "3"}, "x", "outside the film, which has 240 × 320 pixels"),
    "a place above": (drawn, SPACING | {"x": "3", "y": "-1"}, "y", "outside the film"),
    "an unknown field": (drawn, SPACING | {"Jane": "Doe"}, None, "There is no such part of the form."),
    "an empty file": (lambda: b"", SPACING, None, "the file is empty"),
    "no film": (lambda: b"Jane Doe" * 99, SPACING, None, "neither DICOM nor PNG"),
    "a truncated film": (lambda: drawn()[:3000], SPACING, None, "end too early or are damaged"),
    "an inverted film": (lambda: _inverted(), SPACING, "inverted", "the film is inverted"),
    "a film of 20,000 × 20,000": (lambda: _huge(), SPACING, None, "20,000 × 20,000 pixels"),
}  # fmt: skip


def _inverted() -> bytes:
    from PIL import Image, ImageOps

    written = io.BytesIO()
    with Image.open(io.BytesIO(drawn())) as image:
        ImageOps.invert(image).save(written, format="PNG")
    return written.getvalue()


def _huge() -> bytes:
    content = bytearray(drawn())
    content[16:24] = (20_000).to_bytes(4, "big") * 2
    return bytes(content)


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_in_words_that_hold_nothing_of_it(pond_client, case, caplog):
    caplog.set_level(logging.DEBUG)
    build, fields, field, words = REFUSED[case]
    answer = send(pond_client, build(), **fields)
    assert answer.status_code == 422, answer.text
    said = problem(answer)
    assert (said.get("field"), words in said["message"]) == (field, True), said
    for mark in ("Jane", "Doe", "4862951", "4.862951"):
        assert mark not in answer.text + caplog.text


def test_in_a_cc_film_no_muscle_is_cut_off(pond_client, made):
    answer = send(pond_client, drawn(), **SPACING, view="CC").json()
    assert (answer["view"], made["view"]) == ("CC", None)
    assert answer["preview"] != made["preview"]


def test_an_inverted_film_is_read_once_it_is_declared_so(pond_client, made):
    answer = send(pond_client, _inverted(), **SPACING, inverted="true")
    assert answer.status_code == 200
    assert by_feature(answer.json())["dense"] == by_feature(made)["dense"]


@pytest.mark.parametrize(("count", "said"), [(0, "0 films were sent"), (2, "2 films were sent")])
def test_another_number_of_films_is_refused(pond_client, count, said):
    parts = [("film", (f"{at}.png", drawn())) for at in range(count)] or [("spacing", (None, "0.5"))]
    answer = pond_client.post("/film", files=parts)
    assert (answer.status_code, problem(answer)["field"], said in problem(answer)["message"]) == (422, "film", True)


def test_what_is_no_form_of_a_film_is_refused(pond_client):
    many = pond_client.post("/film", files=[("film", ("x", b"x"))] * 9)
    fields = pond_client.post("/film", files={"film": b"x"}, data={"spacing": ["0.5"] * 20})
    long = send(pond_client, drawn(), spacing="0" * 5000)
    kind = {"content-type": "multipart/form-data; boundary=x"}
    broken = pond_client.post("/film", content=b"Jane Doe", headers=kind)
    for answer in (many, fields, long, broken):
        assert answer.status_code == 400
        assert problem(answer)["message"] == "Not readable as a form of files: 1 × film, and fields."
    foreign = pond_client.post("/film", json={"film": "Jane"})
    assert (foreign.status_code, problem(foreign)["message"]) == (415, "Send the film as multipart/form-data.")
    option = pond_client.post("/film?patient=Jane", files={"film": drawn()}, data=SPACING)
    assert (option.status_code, "Jane" in option.text) == (422, False)


@pytest.mark.parametrize("told", [True, False])
def test_more_than_fits_is_refused_told_beforehand_or_not(pond_client, monkeypatch, told):
    monkeypatch.setattr(guard, "MAX_FILM", 5000)
    request = pond_client.build_request("POST", "/film", files={"film": drawn()}, data=SPACING)
    body, headers = request.read(), {"content-type": request.headers["content-type"]}
    assert len(body) > 5000

    def pieces():
        for at in range(0, len(body), 1000):
            yield body[at : at + 1000]

    answer = pond_client.post("/film", content=body if told else pieces(), headers=headers)
    assert answer.status_code == 413
    assert problem(answer)["message"].startswith("The film is larger than 5000 bytes.")


def _dicom(**elements) -> bytes:
    """A DICOM film that names its patient."""
    from PIL import Image
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    with Image.open(io.BytesIO(drawn())) as image:
        values = np.asarray(image).astype(np.uint16)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    given = {
        "PatientName": "MARKED2^JANE",
        "PatientID": "MARKED1",
        "PatientBirthDate": "19700504",
        "ImageLaterality": "L",
        "ViewPosition": "MLO",
        "Rows": 320,
        "Columns": 240,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "ImagerPixelSpacing": [0.5, 0.5],
    }
    for name, value in (given | elements).items():
        setattr(data, name, value)
    data.PixelData = values.tobytes()
    written = io.BytesIO()
    data.save_as(written, enforce_file_format=True)
    return written.getvalue()


def _tiff(description) -> bytes:
    """A film whose file describes it."""
    from PIL import Image

    written = io.BytesIO()
    with Image.open(io.BytesIO(drawn())) as image:
        image.save(written, format="TIFF", description=description)
    return written.getvalue()


def test_of_a_dicom_film_side_and_view_are_told_and_nothing_of_the_patient(pond_client, made, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    answer = send(pond_client, _dicom())
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["laterality"], found["view"], found["spacing"]) == ("L", "MLO", 0.5)
    assert by_feature(found)["diameter"] == by_feature(made)["diameter"]
    other = send(pond_client, _dicom(), laterality="R")
    assert (other.status_code, problem(other)["field"]) == (422, "laterality")
    described = send(pond_client, _tiff("MARKED3"), **SPACING)
    assert described.status_code == 200
    said = answer.text + other.text + described.text + caplog.text + "".join(capfd.readouterr())
    for mark in ("MARKED", "^JANE", "19700504"):
        assert mark not in said


def test_a_failure_repeats_nothing(pond_client, monkeypatch, caplog, capfd):
    def fails(*given):
        raise KeyError("MARKED3")

    monkeypatch.setattr(films, "read", fails)
    failed = send(pond_client, drawn(), **SPACING)
    assert failed.status_code == 500
    assert "MARK" not in failed.text + caplog.text + "".join(capfd.readouterr())


def test_one_film_is_read_at_a_time_even_after_its_request_was_given_up(pond, monkeypatch):
    running = most = 0

    def slow(*given):
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(1.5)
        running -= 1
        raise films.Unacceptable("looked at")

    monkeypatch.setattr(films, "read", slow)
    found: list[int] = []
    with client_of(service_of(pond.bundle, "pond_slow", RELAPSE_TIMEOUT="1").RelapseService) as client:
        threads = [
            threading.Thread(target=lambda: found.append(send(client, drawn(), **SPACING).status_code))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (found, most) == ([503] * 3, 1)


def test_a_film_is_not_in_the_audit_log_and_what_was_made_of_it_is(pond, made, tmp_path):
    log = tmp_path / "audit.jsonl"
    settings = {"RELAPSE_AUDIT_LOG": str(log), "RELAPSE_AUDIT_KEY": "test-key-0123456789"}
    with client_of(service_of(pond.bundle, "pond_logged", **settings).RelapseService) as client:
        send(client, drawn(), **SPACING)
        patient = {one["field"]: one["value"] for one in made["proposals"]} | {"subtype": "Luminal B"}
        client.post("/predict", json=patient)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["endpoint"] for line in lines] == ["predict"]


def test_a_service_that_reads_no_films_takes_none(clients):
    assert send(clients["gbsg"], drawn(), **SPACING).status_code == 404
    assert clients["gbsg"].get("/schema").json()["films"] is None
    assert "/film" not in clients["gbsg"].get("/docs.json").json()["paths"]


def test_schema_and_openapi_say_what_is_taken_and_given(pond_client, pond, made):
    form, document = (pond_client.get(path).json() for path in ("/schema", "/docs.json"))
    assert form["films"] == proposed_features(pond.cohort)
    assert "subtype" not in form["films"].values()
    post = document["paths"]["/film"]["post"]
    ((kind, body),) = post["requestBody"]["content"].items()
    assert (kind, body["schema"]["required"]) == ("multipart/form-data", ["film"])
    assert set(body["schema"]["properties"]) == {"film", *films.FIELDS}
    assert set(post["responses"]) >= {"200", "400", "401", "403", "413", "415", "421", "422", "503"}
    schemas = document["components"]["schemas"]
    jsonschema.validate(made, schemas["FilmRead"] | {"components": {"schemas": schemas}})


def test_a_feature_that_no_patient_is_asked_for_is_not_proposed(pond):
    features = dict(pond.cohort.features)
    late = features["form"].model_copy(update={"known": "after"})
    cohort = pond.cohort.model_copy(update={"features": features | {"form": late}})
    assert proposed_features(pond.cohort) == pond.cohort.films.proposed
    assert "form" not in proposed_features(cohort).values()
