"""The service in processes of its own: what it imports, and the built Bento with BentoML's real server."""

import os
import socket
import subprocess
import sys
import tarfile
import threading
import time

import httpx
import pytest

from relapse.ground.errors import BundleError
from relapse.serving.audit_log import verify
from relapse.serving.bento import build_bento
from tests.bundle.filmed import drawn
from tests.bundle.making import PAIRS, ROOT, small_bundle
from tests.server import command, environment, free_port, serving

pytestmark = pytest.mark.slow

PREDICT = """
import sys
from pathlib import Path
from relapse.bundle.load import load_bundle
from relapse.serving.predictor import Predictor
from relapse.serving.predictor import typical_patient
predictor = Predictor(load_bundle(Path(sys.argv[1])))
predictor.explain(typical_patient(predictor._bundle.cohort))
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""

#: Only for training, tracking, checking and drawing.
NEVER = {
    "mlflow",
    "optuna",
    "imblearn",
    "great_expectations",
    "torch",
    "shap",
    "matplotlib",
    "lifelines",
    "dvc",
    "SurvSet",
}


@pytest.mark.parametrize(("name", "candidate"), PAIRS)
def test_loading_and_predicting_import_no_training_library(tmp_path, cohorts, tables, name, candidate):
    small_bundle(tmp_path / "bundle", cohorts[name], tables[name], candidate, refits=0)
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, str(tmp_path / "bundle")],
        env=environment(tmp_path) | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(done.stdout.split())
    assert imported & NEVER == set()
    assert ("sksurv" in imported) == ((name, candidate) == ("gbsg", "forest"))
    assert ("xgboost" in imported) == (candidate == "xgboost")


VOLUMES = """
import sys
from pathlib import Path
from relapse.bundle.load import load_bundle
from relapse.serving.patients import patient_model
from relapse.serving.predictor import Predictor
from relapse.serving.volumes import pictured
bundle = load_bundle(Path(sys.argv[1]))
files = [path.read_bytes() for path in map(Path, sys.argv[2:])]
woman = patient_model(bundle.cohort, bundle.optional_blocks)
image = pictured(files[:-1], files[-1], bundle.cohort.images).image
assert Predictor(bundle).explain(woman(age=61, grade="high", image=image)).attention
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_volumes_are_read_seen_and_explained_without_what_trains(tmp_path, lake):
    phases, mask = lake.volumes[0]
    paths = [tmp_path / f"{number}.nii.gz" for number in range(4)]
    for path, content in zip(paths, [*phases, mask], strict=True):
        path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", VOLUMES, str(lake.bundle), *map(str, paths)],
        env=environment(tmp_path) | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    # Pictures are drawn with matplotlib.
    assert set(done.stdout.split()) & (NEVER | {"monai", "onnx", "onnxscript"}) == {"matplotlib"}


FILM = """
import sys
from pathlib import Path
from relapse.bundle.load import load_bundle
from relapse.imaging.reading.film_stored import About
from relapse.serving.films import read
bundle = load_bundle(Path(sys.argv[1]))
found = read(Path(sys.argv[2]).read_bytes(), About(spacing=0.5), None, bundle.cohort, bundle.film_reader)
assert len(found.proposals) == 4
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_a_film_is_read_without_what_trains(tmp_path, pond):
    (tmp_path / "film.png").write_bytes(drawn())
    done = subprocess.run(
        [sys.executable, "-c", FILM, str(pond.bundle), str(tmp_path / "film.png")],
        env=environment(tmp_path) | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not set(done.stdout.split()) & (NEVER | {"monai", "nibabel", "onnx", "onnxscript"})


@pytest.fixture(scope="module")
def bento(bundles, tmp_path_factory):
    """A Bento built from the small bundle of gbsg, unpacked."""
    folder = tmp_path_factory.mktemp("bento")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(folder / "store"))
        out = folder / "relapse-gbsg.bento"
        tags = [build_bento(bundles["gbsg"], out=out, repository=ROOT) for _ in range(2)]
    # Built twice: building again replaces what was there.
    assert tags == ["relapse_gbsg:0123456789ab"] * 2
    with tarfile.open(out) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    return folder / "unpacked"


def test_a_bento_names_exact_versions_and_no_registry_or_folder_of_this_machine(bento):
    requirements = (bento / "env" / "python" / "requirements.txt").read_text().split()
    assert all("==" in line for line in requirements)
    assert len(requirements) == len(set(requirements))
    assert {line.split("==")[0] for line in requirements} >= {"bentoml", "scikit-learn", "skops"}
    assert not {line.split("==")[0] for line in requirements} & {
        "mlflow",
        "optuna",
        "scikit-survival",
        "imbalanced-learn",
    }
    for file in bento.rglob("*"):
        if file.is_file() and file.suffix != ".skops":
            text = file.read_text()
            assert "--index-url" not in text
            assert str(ROOT) not in text


def test_the_container_s_recipe_has_the_python_of_the_model_and_runs_as_nobody_special(bento):
    recipe = (bento / "env" / "docker" / "Dockerfile").read_text().splitlines()
    assert "FROM python:3.11-slim AS base-container" in recipe
    assert "USER bentoml" in recipe[recipe.index("EXPOSE 3000") :]
    assert "ARG BENTOML_DO_NOT_TRACK=True" in recipe
    assert (bento / "env" / "docker" / "entrypoint.sh").read_text().startswith("#!/usr/bin/env bash")


def test_a_built_bento_serves_outside_the_repository_and_logs_no_value(bento, tmp_path, patients):
    with serving(bento, tmp_path, cwd=tmp_path) as server:
        marked = patients["gbsg"] | {"tsize": 48.62951}
        answer = httpx.post(f"{server.url}/predict", json=marked)
        batch = httpx.post(f"{server.url}/predict_batch", json=[marked, marked])
        refused = httpx.post(f"{server.url}/predict", json=marked | {"tgrade": "MARKEDVALUE"})
        served = httpx.get(f"{server.url}/model").json()
        why = httpx.post(f"{server.url}/explain", json=marked)
        page = httpx.get(f"{server.url}/", follow_redirects=True)
        script = httpx.get(f"{server.url}/static/page.js")
        httpx.get(f"{server.url}/predict/48.62951?tgrade=MARKEDVALUE")
        metrics = httpx.get(f"{server.url}/metrics").text
    assert 0 <= answer.json()["risk"] <= 1
    assert [one["risk"] for one in batch.json()] == pytest.approx([answer.json()["risk"]] * 2, rel=1e-12)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "tgrade")
    assert served["manifest"]["cohort"] == "gbsg"
    total = why.json()["base"] + sum(one["value"] for one in why.json()["contributions"])
    assert total == pytest.approx(why.json()["output"], abs=1e-6)
    assert "Not a medical device" in page.text
    assert script.headers["content-type"].startswith("text/javascript")
    assert 'relapse_requests_total{method="POST",path="/predict",status="200"} 1.0' in metrics
    written = (tmp_path / "server.log").read_text()
    assert "POST /predict 200" in written
    for mark in ("48.62951", "MARKEDVALUE"):
        assert mark not in written
        assert mark not in refused.text
        assert mark not in metrics


def test_a_missing_bundle_stops_the_server_with_one_message(tmp_path):
    done = subprocess.run(
        command("bento/service.py:RelapseService", port=free_port()),
        cwd=ROOT,
        env=environment(tmp_path) | {"PYTHONPATH": str(ROOT / "src"), "RELAPSE_BUNDLE": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "no bundle, manifest.json is missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_server_sends_nothing_to_its_makers_even_where_nobody_asked_it_not_to(bento, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0.2)
        outward = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        settings = {"HTTPS_PROXY": outward, "HTTP_PROXY": outward, "NO_PROXY": "127.0.0.1"}
        with serving(bento, tmp_path, settings=settings, cwd=tmp_path):
            pass
        with pytest.raises(TimeoutError):
            proxy.accept()


def test_a_bundle_that_was_altered_is_not_built(bundles, tmp_path):
    altered = tmp_path / "bundle"
    altered.mkdir()
    for file in bundles["gbsg"].iterdir():
        (altered / file.name).write_bytes(file.read_bytes())
    (altered / "decision.json").write_text("{}")
    with pytest.raises(BundleError, match=r"decision\.json: altered"):
        build_bento(altered, out=tmp_path / "x.bento", repository=ROOT)
    assert os.listdir(tmp_path) == ["bundle"]


def test_what_the_system_refuses_while_building_is_told_as_such(bundles, tmp_path, monkeypatch):
    """A store that cannot be written: one line with a path for :mod:`relapse.ground.outside`, no output of BentoML."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "bentos").write_text("not a folder")
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "store"))
    with pytest.raises(OSError, match="Not a directory") as caught:
        build_bento(bundles["gbsg"], out=tmp_path / "x.bento", repository=ROOT)
    assert str(caught.value.filename).startswith(str(tmp_path / "store"))
    assert not (tmp_path / "x.bento").exists()


def test_listening_beyond_this_machine_without_a_token_stops_the_server_with_one_message(bento, tmp_path):
    for host in (None, "0.0.0.0"):
        done = subprocess.run(
            command(bento, port=free_port(), host=host),
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 2
        assert "would listen on 0.0.0.0, beyond this machine, without a token. Set RELAPSE_TOKEN" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_stop_under_load_loses_no_request_that_was_accepted(bento, tmp_path, patients):
    log, key = tmp_path / "audit.jsonl", "test-key-0123456789"
    settings = {"RELAPSE_TOKEN": "test-token-0123456789", "RELAPSE_AUDIT_LOG": str(log), "RELAPSE_AUDIT_KEY": key}
    start = time.perf_counter()
    answered, broken, refused = [], [], []
    headers = {"authorization": "Bearer test-token-0123456789"}

    def ask():
        with httpx.Client(headers=headers) as client:
            while not refused:
                try:
                    answered.append(client.post(f"{server.url}/predict", json=patients["gbsg"]).status_code)
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    refused.append(True)
                except httpx.TransportError as error:
                    # A kept connection that the server closed between two requests carried none.
                    broken.append(type(error).__name__)

    with serving(bento, tmp_path, settings=settings, host="0.0.0.0", cwd=tmp_path) as server:
        assert httpx.get(f"{server.url}/model").status_code == 401
        assert httpx.post(f"{server.url}/predict", json=patients["gbsg"], headers=headers).status_code == 200
        started = time.perf_counter() - start
        clients = [threading.Thread(target=ask) for _ in range(8)]
        for client in clients:
            client.start()
        time.sleep(1.5)
    for client in clients:
        client.join(30)
    assert len(answered) > 20
    assert set(answered) == {200}
    assert set(broken) <= {"RemoteProtocolError", "ReadError", "WriteError"}
    # What was predicted was recorded, and what was recorded was given: one more line was asked for before the load.
    assert verify(log, key.encode()).lines == len(answered) + 1
    assert started < 30
