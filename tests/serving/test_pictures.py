"""Volumes become a picture, the picture an answer: one upload at a time, nothing kept, nothing repeated."""

import base64
import gzip
import json
import logging
import threading
import time
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from relapse.bundle.eyes import noise
from relapse.bundle.load import load_bundle
from relapse.cohorts.blocked import IMAGE
from relapse.imaging.stored import open_picture
from relapse.imaging.uploads import as_text, picture_of_volumes
from relapse.serving import guard, volumes
from relapse.serving.audit_log import verify
from relapse.serving.contract import NoteKind
from tests.bundle.pictured import Pictured, looked_at_alike
from tests.serving.conftest import client_of, service_of

pytest.importorskip("onnxruntime")

WOMAN = {"age": 61, "grade": "high"}
WITHOUT = "no value of block imaging (DCE-MRI) was given"


def parts(phases, mask, names="Jane Doe {}.nii.gz"):
    """A form as a client sends it."""
    files = [*(("phase", content) for content in phases), *(("mask", content) for content in mask)]
    return [(field, (names.format(at), content)) for at, (field, content) in enumerate(files)]


def upload(client, lake: Pictured, number: int = 0):
    phases, mask = lake.volumes[number]
    return client.post("/picture", files=parts(phases, [mask]))


def message(answer) -> str:
    (error,) = answer.json()["errors"]
    return str(error["message"])


@pytest.fixture(scope="module")
def made(lake_client, lake):
    """What the service made of a patient's volumes."""
    answer = upload(lake_client, lake)
    assert answer.status_code == 200
    return answer.json()


def test_volumes_become_the_picture_that_training_would_have_made(made, lake):
    expected = picture_of_volumes(*lake.volumes[0], lake.images)
    assert made[IMAGE] == as_text(expected)
    assert made["width"] == [round(float(width), 1) for width in expected.width]
    assert base64.b64decode(made["preview"]).startswith(b"\x89PNG")


def test_the_score_served_is_the_models_of_the_same_picture_in_a_table(lake_client, lake):
    bundle = load_bundle(lake.bundle)
    horizons = [horizon.time for horizon in lake.cohort.survival.horizons]
    with looked_at_alike():
        expected = bundle.model.predict_score(lake.table)
        risks = bundle.model.predict_risk(lake.table, horizons)
    for row in range(0, len(lake.table), 6):
        woman = lake.table.iloc[row]
        asked = {"age": int(woman["age"]), "grade": woman["grade"], IMAGE: as_text(open_picture(Path(woman[IMAGE])))}
        answer = lake_client.post("/predict?curve=true", json=asked).json()
        assert answer["score"] == pytest.approx(expected[row], abs=1e-5)
        assert [one["risk"] for one in answer["risks"]] == pytest.approx(risks[row].tolist(), abs=1e-5)
        assert (answer["model"]["role"], len(answer["curve"]["times"])) == ("champion", 61)
        assert answer["interval"]["lower"] <= answer["risk"] <= answer["interval"]["upper"]


def test_a_picture_is_explained_with_where_the_model_looked(lake_client, lake, made):
    asked = WOMAN | {IMAGE: made[IMAGE]}
    why, answer = (lake_client.post(path, json=asked).json() for path in ("/explain", "/predict"))
    other = WOMAN | {IMAGE: upload(lake_client, lake, 1).json()[IMAGE]}
    against, instead = (lake_client.post(path, json=other).json() for path in ("/explain", "/predict"))
    assert [one["field"] for one in why["contributions"]] == ["age", "grade", "imaging"]
    assert why["contributions"][2]["label"] == "DCE-MRI"
    assert why["base"] + sum(one["value"] for one in why["contributions"]) == pytest.approx(why["output"])
    # The score is a log cumulative hazard, the output a log-hazard: they differ by the baseline.
    assert why["output"] - against["output"] == pytest.approx(answer["score"] - instead["score"], abs=1e-9)
    assert why["contributions"][2]["value"] != against["contributions"][2]["value"]
    drawn = base64.b64decode(why["attention"])
    assert drawn.startswith(b"\x89PNG")
    assert drawn != base64.b64decode(made["preview"])


@pytest.mark.parametrize("nothing", [{}, {IMAGE: None}])
def test_without_a_picture_the_reference_answers_and_says_why(lake_client, nothing):
    answer = lake_client.post("/predict", json=WOMAN | nothing).json()
    assert (answer["model"]["role"], answer["model"]["because"]) == ("reference", WITHOUT)
    why = lake_client.post("/explain", json=WOMAN | nothing).json()
    assert ([one["field"] for one in why["contributions"]], why["attention"]) == (["age", "grade"], None)


def test_patients_with_and_without_pictures_are_answered_together_as_alone(lake_client, lake, made):
    other = upload(lake_client, lake, 1).json()[IMAGE]
    asked = [WOMAN | {IMAGE: made[IMAGE]}, WOMAN, WOMAN | {IMAGE: other}]
    together = lake_client.post("/predict_batch", json=asked).json()
    assert [one["model"]["role"] for one in together] == ["champion", "reference", "champion"]
    alone = [lake_client.post("/predict", json=one).json()["risk"] for one in asked]
    assert [one["risk"] for one in together] == pytest.approx(alone, abs=1e-9)
    assert together[0]["score"] != together[2]["score"]


def test_as_many_pictures_as_are_promised_fit_a_body_and_more_are_too_many(lake_client, made):
    asked = WOMAN | {IMAGE: made[IMAGE]}
    assert lake_client.post("/predict_batch", json=[asked] * guard.MAX_PICTURES).status_code == 200
    many = lake_client.post("/predict_batch", json=[asked] * 1000)
    assert (many.status_code, "Send fewer patients." in message(many)) == (413, True)


def test_a_picture_of_noise_is_flagged_and_one_like_the_trainings_is_not(lake_client, lake, made):
    answer = lake_client.post("/predict", json=WOMAN | {IMAGE: as_text(noise(lake.images))}).json()
    (note,) = [one for one in answer["notes"] if one["field"] == IMAGE]
    assert note["kind"] == NoteKind.UNLIKE_PICTURE
    usual = lake_client.post("/predict", json=WOMAN | {IMAGE: made[IMAGE]}).json()
    assert not [one for one in usual["notes"] if one["field"] == IMAGE]


def _foreign() -> str:
    import io

    content = io.BytesIO()
    np.savez(content, Jane_Doe=np.zeros(3))
    return base64.b64encode(content.getvalue()).decode()


def _wrong_size(lake: Pictured) -> str:
    declared = lake.images.preprocessing.model_copy(update={"size": 40})
    return as_text(noise(lake.images.model_copy(update={"preprocessing": declared})))


UNUSABLE = {
    "no base64": (lambda lake: "Jane Doe, 4 May 1970", "no base64"),
    "bytes that are no picture": (lambda lake: base64.b64encode(b"Jane Doe" * 9).decode(), "no zip archive"),
    "a foreign archive": (lambda lake: _foreign(), "does not hold channels, mask and width"),
    "a picture of another size": (_wrong_size, "its channels have another size"),
    "an empty text": (lambda lake: "", "no zip archive"),
    "a number": (lambda lake: 4.862951, "Not an allowed value."),
    "a list": (lambda lake: ["Jane Doe"], "Not an allowed value."),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_is_no_picture_is_refused_in_words_that_hold_nothing_of_it(lake_client, lake, case, caplog):
    build, words = UNUSABLE[case]
    for path in ("/predict", "/explain", "/predict_batch"):
        asked = WOMAN | {IMAGE: build(lake)}
        answer = lake_client.post(path, json=[asked] if path.endswith("batch") else asked)
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert (error["field"], words in error["message"]) == (IMAGE, True), error
        assert error["allowed"] == "the text that POST /picture gives for uploaded volumes"
        for mark in ("Jane", "4 May", "4.862951"):
            assert mark not in answer.text + caplog.text


FORMS = {
    "no mask": (lambda phases, mask: (phases, []), "0 masks were sent; one is needed."),
    "two masks": (lambda phases, mask: (phases, [mask, mask]), "2 masks were sent; one is needed."),
    "no phase": (lambda phases, mask: ([], [mask]), "0 phases were sent, and 3 are needed: 0, 1, last"),
    "two phases": (lambda phases, mask: (phases[:2], [mask]), "2 phases were sent, and 3 are needed"),
    "four phases": (lambda phases, mask: ([*phases, phases[0]], [mask]), "4 phases were sent, and 3 are needed"),
    "an empty file": (lambda phases, mask: ([b"", *phases[1:]], [mask]), "phase 0: the file is empty"),
    "no volume": (lambda phases, mask: ([b"Jane Doe" * 99, *phases[1:]], [mask]), "phase 0: this is no NIfTI file"),
    "the same phase": (lambda phases, mask: ([phases[0]] * 3, [mask]), "the same image"),
    "a phase for a mask": (lambda phases, mask: (phases, [phases[0]]), "mask"),
    "a truncated file": (lambda phases, mask: ([phases[0][:900], *phases[1:]], [mask]), "phase 0: the compressed"),
    "a bomb": (lambda phases, mask: ([_bomb(phases[0]), *phases[1:]], [mask]), "at most 256 MiB"),
}


def _bomb(content: bytes) -> bytes:
    """A small file that declares, and holds, far more than it may."""
    header = bytearray(gzip.decompress(content)[:352])
    header[42:48] = np.array([2000, 2000, 2000], dtype="<i2").tobytes()
    return gzip.compress(bytes(header) + bytes(64 << 20))


@pytest.mark.parametrize("case", FORMS)
def test_a_form_that_makes_no_picture_is_refused_in_the_right_words(lake_client, lake, case, caplog):
    build, words = FORMS[case]
    caplog.set_level(logging.DEBUG)
    phases, masks = build(*lake.volumes[0])
    answer = lake_client.post("/picture", files=parts(phases, masks))
    assert (answer.status_code, words in message(answer)) == (422, True), answer.text
    assert "Jane" not in answer.text + caplog.text


def test_what_is_no_form_of_files_is_refused(lake_client, lake):
    phases, mask = lake.volumes[0]
    many = lake_client.post("/picture", files=parts(phases * 3, [mask]))
    text = lake_client.post("/picture", files=parts(phases, [mask]), data={"patient": "Jane Doe"})
    kind = {"content-type": "multipart/form-data"}
    unbounded = lake_client.post("/picture", content=b"--x", headers=kind)
    broken = lake_client.post(
        "/picture", content=b"Jane Doe", headers={"content-type": kind["content-type"] + "; boundary=x"}
    )
    for answer in (many, text, unbounded, broken):
        assert answer.status_code == 400
        assert message(answer) == "Not readable as a form of files: 3 × phase, 1 × mask."


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "text/plain", ""])
def test_another_content_type_is_refused(lake_client, kind):
    answer = lake_client.post("/picture", content=b"{}", headers={"content-type": kind})
    assert (answer.status_code, message(answer)) == (415, "Send the volumes as multipart/form-data.")


def test_packed_forms_and_options_in_the_address_are_refused(lake_client, lake):
    phases, mask = lake.volumes[0]
    packed_form = lake_client.post("/picture", files=parts(phases, [mask]), headers={"content-encoding": "gzip"})
    assert packed_form.status_code == 415
    answer = lake_client.post("/picture?patient=Jane", files=parts(phases, [mask]))
    assert (answer.status_code, "Jane" in answer.text) == (422, False)


@pytest.mark.parametrize("told", [True, False])
def test_more_than_fits_is_refused_told_beforehand_or_not(lake_client, lake, monkeypatch, told):
    monkeypatch.setattr(guard, "MAX_UPLOAD", 5000)
    request = lake_client.build_request("POST", "/picture", files=parts(lake.volumes[0][0], [lake.volumes[0][1]]))
    body, headers = request.read(), {"content-type": request.headers["content-type"]}

    def pieces():
        for at in range(0, len(body), 1000):
            yield body[at : at + 1000]

    answer = lake_client.post("/picture", content=body if told else pieces(), headers=headers)
    assert answer.status_code == 413
    assert message(answer).startswith("The volumes are larger than 5000 bytes together.")


def test_nothing_of_a_series_or_of_a_failure_is_repeated(lake_client, lake, tmp_path, monkeypatch, caplog, capfd):
    from tests.imaging.making import series
    from tests.imaging.test_uploads import zipped

    caplog.set_level(logging.DEBUG)
    name = {"PatientName": "Doe^Jane", "PatientID": "MARKED1", "PatientBirthDate": "19700504", "StudyDate": "20261130"}
    files = [path.read_bytes().replace(b"20261130", b"2026MARK") for path in series(tmp_path / "series", **name)]
    phases, mask = lake.volumes[0]
    answer = lake_client.post("/picture", files=parts([zipped(*files)] * 3, [mask]))
    assert answer.status_code == 422

    def fails(*given):
        raise KeyError("MARKED3")

    monkeypatch.setattr(volumes, "pictured", fails)
    failed = lake_client.post("/picture", files=parts(phases, [mask]))
    assert failed.status_code == 500
    said = answer.text + failed.text + caplog.text + "".join(capfd.readouterr())
    for mark in ("Doe", "Jane", "MARK", "19700504"):
        assert mark not in said


def test_one_upload_is_worked_on_at_a_time_even_after_its_request_was_given_up(lake, monkeypatch):
    running = most = 0

    def slow(phases, mask, images):
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(1.5)
        running -= 1
        raise volumes.ImageError("file-empty", "looked at")

    monkeypatch.setattr(volumes, "pictured", slow)
    found: list[int] = []
    phases, mask = lake.volumes[0]
    with client_of(service_of(lake.bundle, "lake_slow", RELAPSE_TIMEOUT="1").RelapseService) as client:

        def ask() -> None:
            found.append(client.post("/picture", files=parts(phases, [mask])).status_code)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        again = client.post("/picture", files=parts(phases, [mask])).status_code
        # Who waits for a turn is given up as well, and what is given up before its turn is never read.
        assert (found, again, most) == ([503] * 3, 503, 1)


def test_a_service_that_looks_at_no_picture_takes_none(clients, lake):
    phases, mask = lake.volumes[0]
    assert clients["gbsg"].post("/picture", files=parts(phases, [mask])).status_code == 404
    assert clients["gbsg"].get("/schema").json()["phases"] is None
    assert "/picture" not in clients["gbsg"].get("/docs.json").json()["paths"]


def test_schema_and_openapi_say_what_is_taken_and_given(lake_client, made):
    form, document = (lake_client.get(path).json() for path in ("/schema", "/docs.json"))
    assert form["phases"] == ["0", "1", "last"]
    assert [(block["name"], block["features"], block["optional"]) for block in form["blocks"]] == [
        ("imaging", [IMAGE], True)
    ]
    assert IMAGE not in [field["name"] for field in form["fields"]]
    post = document["paths"]["/picture"]["post"]
    ((kind, body),) = post["requestBody"]["content"].items()
    assert kind == "multipart/form-data"
    assert body["schema"]["required"] == ["phase", "mask"]
    assert (body["schema"]["properties"]["phase"]["minItems"], body["schema"]["properties"]["phase"]["maxItems"]) == (
        3,
        3,
    )
    assert set(post["responses"]) >= {"200", "400", "401", "403", "413", "415", "421", "422", "503"}
    assert "multipart/form-data" in post["responses"]["415"]["description"]
    schemas = document["components"]["schemas"]
    jsonschema.validate(made, schemas["Pictured"])
    for asked in (WOMAN | {IMAGE: made[IMAGE]}, WOMAN, WOMAN | {IMAGE: None}):
        jsonschema.validate(asked, schemas["Patient"])
    why = lake_client.post("/explain", json=WOMAN | {IMAGE: made[IMAGE]}).json()
    assert schemas["Explanation"]["properties"]["attention"]
    jsonschema.validate(why, schemas["Explanation"] | {"components": {"schemas": schemas}})


def test_an_answer_with_a_picture_is_in_the_audit_log_and_a_picture_alone_is_not(lake, tmp_path):
    log, key = tmp_path / "audit.jsonl", "test-key-0123456789"
    settings = {"RELAPSE_AUDIT_LOG": str(log), "RELAPSE_AUDIT_KEY": key}
    with client_of(service_of(lake.bundle, "lake_logged", **settings).RelapseService) as client:
        image = upload(client, lake).json()[IMAGE]
        client.post("/predict", json=WOMAN | {IMAGE: image})
        client.post("/explain", json=WOMAN)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["endpoint"] for line in lines] == ["predict", "explain"]
    assert [line["output"]["role"] for line in lines] == ["champion", "reference"]
    assert verify(log, key.encode()).lines == 2
    assert image[:60] not in log.read_text()
