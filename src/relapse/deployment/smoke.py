"""Smoke tests of a service: it is there, is the release that it should be, and answers the known example as recorded.

Where answers are kept the example is only explained: an explanation leaves a line in the audit log, as any does, and
none in the monitoring store, whose patients are real.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from relapse.deployment.service import Service
from relapse.ground.environment import TOKEN
from relapse.serving.example import TOLERANCE, risks_of

#: How often the example is asked for; the quickest answer counts, since the first ones load what is loaded late.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: what was asked for, what was found, and whether that is enough."""

    name: str
    asked: str
    found: str
    passed: bool


async def until_ready(service: Service, client: httpx.AsyncClient, seconds: float) -> Check:
    """Wait until a service is ready."""
    asked, start = f"ready within {seconds:g} s", time.monotonic()
    while time.monotonic() - start < seconds:
        if service.ended:
            return Check("ready", asked, f"its process ended: see {service.log}", passed=False)
        try:
            if (await client.get(f"{service.url}/readyz")).status_code == 200:
                return Check("ready", asked, f"after {time.monotonic() - start:.1f} s", passed=True)
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    return Check("ready", asked, "not ready", passed=False)


async def smoke(service: Service, client: httpx.AsyncClient, milliseconds: float, *, url: str = "") -> list[Check]:
    """Look at a service that is ready; at ``url``, where it is asked for through another door."""
    at = url or service.url
    found: list[Check] = []
    try:
        for path in ("/healthz", "/readyz"):
            status = (await client.get(f"{at}{path}")).status_code
            found.append(Check(path, "200", str(status), status == 200))
        card = await client.get(f"{at}/model", headers=_headers())
        manifest = card.json().get("manifest", {}) if card.status_code == 200 else {}
        said = f"{manifest.get('cohort')} {manifest.get('version')}"
        wanted = f"{service.release.cohort} {service.release.version}"
        found.append(Check("/model", wanted, said if manifest else str(card.status_code), said == wanted))
        found += await _example(service, client, at, milliseconds)
    except (httpx.TransportError, ValueError, LookupError, TypeError) as error:
        found.append(Check("answers", "an answer", type(error).__name__, passed=False))
    return found


async def _example(service: Service, client: httpx.AsyncClient, at: str, milliseconds: float) -> list[Check]:
    example, path = service.release.example, "/predict" if service.shadow else "/explain"
    times, status, answer = [], 0, {}
    for _ in range(_TRIES):
        start = time.perf_counter()
        response = await client.post(f"{at}{path}", json=example.patient, headers=_headers())
        times.append((time.perf_counter() - start) * 1000)
        status, answer = response.status_code, response.json()
    if status != 200:
        return [Check("known example", "the recorded answer", f"status {status}", passed=False)]
    wanted = (example.score, *example.risks) if service.shadow else (example.output,)
    given = (float(answer["score"]), *risks_of(answer)) if service.shadow else (float(answer["output"]),)
    served = answer["model"]["version"]
    same = served == example.version and _same(wanted, given)
    return [
        Check("known example", "the recorded answer", "as recorded" if same else "another answer", same),
        Check("latency", f"at most {milliseconds:g} ms", f"{min(times):.1f} ms", min(times) <= milliseconds),
    ]


def _same(wanted: Sequence[float], given: Sequence[float]) -> bool:
    return len(wanted) == len(given) and all(
        math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE) for one, other in zip(wanted, given, strict=True)
    )


def _headers() -> dict[str, Any]:
    token = TOKEN.get()
    return {"Authorization": f"Bearer {token}"} if token else {}
