"""What the service answers in a second, beside an empty BentoML endpoint and MLflow's own server of the same model.

    python -P benchmarks/serving.py [--cohort gbsg] [--seconds 5] [--soak 0]

One worker each, on 127.0.0.1 alone, one after another; every client keeps its connection and asks again once it is
answered. ``--soak SECONDS`` asks ``/predict`` from eight clients for that long and tells of lost requests and memory.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from relapse.bundle.load import describe_bundle
from relapse.ground.workspace import Workspace
from relapse.serving.predictor import typical_patient

ROOT = Path(__file__).resolve().parents[1]
CLIENTS = (1, 8, 32)
ROWS = 1000

EMPTY = """
import bentoml
from pydantic import BaseModel

class Answer(BaseModel):
    risk: float

@bentoml.service
class Empty:
    @bentoml.api
    def predict(self, patient: dict, /) -> Answer:
        return Answer(risk=0.5)
"""

#: The same predictor without door, traffic and audit log, with and without BentoML's adaptive batching.
BARE = """
import os
from pathlib import Path
import bentoml
from relapse.bundle.load import describe_bundle, load_bundle
from relapse.serving.contract import prediction_model
from relapse.serving.patients import patient_model
from relapse.serving.predictor import Predictor

FOLDER = Path(os.environ["RELAPSE_BUNDLE"])
COHORT = describe_bundle(FOLDER).cohort
Patient, Prediction = patient_model(COHORT), prediction_model(COHORT)

@bentoml.service
class Bare:
    def __init__(self) -> None:
        self.predictor = Predictor(load_bundle(FOLDER))

    @bentoml.api({options})
    def predict(self, patients: list[Patient]) -> list[Prediction]:
        return self.predictor.predict(patients)
"""
BATCHING = {"one by one": "", "adaptive batching": "batchable=True, max_batch_size=64, max_latency_ms=1000"}


@dataclass(frozen=True)
class Measured:
    """Answers, seconds each took, requests that were not answered with 200."""

    latency: np.ndarray
    seconds: float
    lost: int

    def __str__(self) -> str:
        p50, p99 = np.quantile(self.latency, [0.5, 0.99]) * 1000
        return f"{len(self.latency) / self.seconds:7.0f}/s  p50 {p50:6.1f} ms  p99 {p99:6.1f} ms  lost {self.lost}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohort", default="gbsg")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--soak", type=float, default=0)
    given = parser.parse_args()
    bundle = (ROOT / Workspace(given.cohort).bundle).resolve()
    described = describe_bundle(bundle)
    patient = typical_patient(described.cohort).model_dump()
    print(f"{given.cohort}, {described.manifest.title}; load of the machine before: {os.getloadavg()[0]:.1f}")
    one, many = json.dumps(patient).encode(), json.dumps([patient] * ROWS).encode()
    with tempfile.TemporaryDirectory() as scratch:
        found: dict[tuple[str, int], Measured] = {}
        with serving(ours(), scratch, {"RELAPSE_BUNDLE": str(bundle)}) as (url, server, ready):
            print(f"relapse: first answer {ready:.1f} s after the start, {memory(server):.0f} MB")
            for path in ("/predict", "/explain"):
                for clients in CLIENTS:
                    found[path, clients] = measure(url + path, one, clients, given.seconds)
                    print(f"  {path:9} {clients:3} clients  {found[path, clients]}")
            batch = measure(url + "/predict_batch", many, 2, given.seconds)
            print(f"  /predict_batch  {ROWS * len(batch.latency) / batch.seconds:.0f} rows/s in batches of {ROWS}")
            if given.soak:
                before = memory(server)
                soaked = measure(url + "/predict", one, 8, given.soak)
                print(f"  {given.soak:.0f} s at 8 clients  {soaked}  memory {before:.0f} -> {memory(server):.0f} MB")
        records = json.dumps({"dataframe_records": [patient]}).encode()
        for name, command, path, body in (
            ("empty", empty(Path(scratch)), "/predict", one),
            ("mlflow", mlflow(bundle, Path(scratch)), "/invocations", records),
        ):
            with serving(command, scratch, {}, probe="/ping" if name == "mlflow" else "/readyz") as (url, _, ready):
                print(f"{name}: first answer {ready:.1f} s after the start")
                for clients in CLIENTS:
                    found[name, clients] = measure(url + path, body, clients, given.seconds)
                    print(f"  {path:9} {clients:3} clients  {found[name, clients]}")
        for name, options in BATCHING.items():
            command = bare(Path(scratch), options)
            with serving(command, scratch, {"RELAPSE_BUNDLE": str(bundle)}) as (url, _, _):
                for clients in CLIENTS:
                    one_of_many = json.dumps({"patients": [patient]}).encode()
                    found[name, clients] = measure(url + "/predict", one_of_many, clients, given.seconds)
                    print(f"  bare, {name:17} {clients:3} clients  {found[name, clients]}")
    rate = {key: len(item.latency) / item.seconds for key, item in found.items()}
    p99 = {key: float(np.quantile(item.latency, 0.99)) for key, item in found.items()}
    print(f"at 8 clients: {rate['/predict', 8] / rate['mlflow', 8]:.1f} times MLflow's requests a second,")
    print(f"{rate['/predict', 8] / rate['empty', 8]:.0%} of the empty endpoint's;")
    print(f"p99 of /explain is {p99['/explain', 1] / p99['/predict', 1]:.1f} times that of /predict at 1 client")


def ours() -> list[str]:
    return ["bentoml", "serve", "service:RelapseService", "--working-dir", str(ROOT / "bento")]


def empty(scratch: Path) -> list[str]:
    (scratch / "empty_service.py").write_text(EMPTY)
    return ["bentoml", "serve", "empty_service:Empty", "--working-dir", str(scratch)]


def bare(scratch: Path, options: str) -> list[str]:
    (scratch / "bare_service.py").write_text(BARE.replace("{options}", options))
    return ["bentoml", "serve", "bare_service:Bare", "--working-dir", str(scratch)]


def mlflow(bundle: Path, scratch: Path) -> list[str]:
    """The same bundle as MLflow serves it."""
    import mlflow.pyfunc

    target = scratch / "model"
    mlflow.pyfunc.save_model(
        str(target), loader_module="relapse.tracking.flavour", data_path=str(bundle), pip_requirements=["relapse"]
    )
    return ["mlflow", "models", "serve", "--model-uri", str(target), "--env-manager", "local", "--workers", "1"]


@contextmanager
def serving(
    command: list[str], scratch: str, settings: dict[str, str], *, probe: str = "/readyz"
) -> Iterator[tuple[str, "subprocess.Popen[bytes]", float]]:
    """A server on a free port of this machine, stopped at the end; with the seconds that it took to be ready."""
    import httpx

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"BENTOML_HOME": f"{scratch}/bentoml", "PYTHONPATH": str(ROOT / "src"), **settings}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "BENTOML_DO_NOT_TRACK": "True"}
    start = time.perf_counter()
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        env=environment,
        cwd=scratch,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        while time.perf_counter() - start < 90:
            if server.poll() is not None:
                raise RuntimeError(f"{command[0]} ended with {server.returncode}")
            try:
                if httpx.get(url + probe).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        yield url, server, time.perf_counter() - start
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()


def measure(url: str, body: bytes, clients: int, seconds: float) -> Measured:
    return asyncio.run(_measure(url, body, clients, seconds))


async def _measure(url: str, body: bytes, clients: int, seconds: float) -> Measured:
    import aiohttp

    latency: list[float] = []
    lost = 0

    async def client(session: Any, until: float, kept: list[float]) -> None:
        nonlocal lost
        while (start := time.perf_counter()) < until:
            try:
                async with session.post(url, data=body) as answer:
                    await answer.read()
                    good = answer.status == 200
            except aiohttp.ClientError:
                good = False
            if good:
                kept.append(time.perf_counter() - start)
            else:
                lost += 1

    headers = {"content-type": "application/json"}
    limit = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(
        headers=headers, timeout=limit, connector=aiohttp.TCPConnector(limit=0)
    ) as session:
        await asyncio.gather(*(client(session, time.perf_counter() + min(1.0, seconds), []) for _ in range(clients)))
        lost = 0
        start = time.perf_counter()
        await asyncio.gather(*(client(session, start + seconds, latency) for _ in range(clients)))
        return Measured(np.array(latency), time.perf_counter() - start, lost)


def memory(server: "subprocess.Popen[bytes]") -> float:
    """Megabytes of a server and its workers."""
    import psutil

    parent = psutil.Process(server.pid)
    return sum(item.memory_info().rss for item in (parent, *parent.children(recursive=True))) / 2**20


if __name__ == "__main__":
    main()
