"""The door passes requests on whole, parts patients, and answers by the old model where the new one fails.

What stands behind it here are small applications that fail as asked; real services stand behind it in ``test_door.py``.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from relapse.deployment.choosing import Stage, belongs, identity
from relapse.deployment.router import Router, Way

OLD, NEW = "http://old.local", "http://new.local"
KEY = b"a key of a test"

App = Callable[..., Coroutine[Any, Any, None]]


def _service(risk: float, seen: list[dict[str, Any]], *, status: int = 200, breaks: bool = False) -> App:
    """Answers each request with a risk, and notes what arrived."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        seen.append({"path": scope["path"], "query": scope["query_string"], "body": body, "headers": scope["headers"]})
        if breaks:
            raise httpx.ReadError("the connection was lost")
        content = json.dumps({"risk": risk}).encode()
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % len(content))]}
        )
        await send({"type": "http.response.body", "body": content})

    return app


def _asked(
    tmp_path: Path, old: App, new: App, way: Way, requests: list[dict[str, Any]], *, largest: int = 1000
) -> tuple[list[httpx.Response], Router]:
    """What the door answers to requests, one after the other."""

    async def run() -> tuple[list[httpx.Response], Router]:
        mounts: dict[str, httpx.AsyncBaseTransport] = {
            "http://old.local": httpx.ASGITransport(old),
            "http://new.local": httpx.ASGITransport(new),
        }
        async with httpx.AsyncClient(mounts=mounts) as client:
            router = Router(client, way, KEY, tmp_path / "compared.jsonl", largest)
            async with httpx.AsyncClient(transport=httpx.ASGITransport(router), base_url="http://localhost") as asking:
                found = [await asking.request(**item) for item in requests]
            await asyncio.gather(*router._shadows)
            return found, router

    return asyncio.run(run())


def _post(**given: Any) -> dict[str, Any]:
    return {"method": "POST", "url": "/predict", "json": {"age": 50}} | given


def test_in_the_shadow_only_the_old_one_s_answers_are_given_out_and_both_are_compared(tmp_path: Path) -> None:
    old: list[dict[str, Any]] = []
    new: list[dict[str, Any]] = []
    requests = [_post(headers={"relapse-patient": "MARKEDNAME"}), _post(json={"age": 48.62951})]
    found, router = _asked(tmp_path, _service(0.25, old), _service(0.75, new), Way(Stage.SHADOW, OLD, NEW), requests)
    assert [item.json()["risk"] for item in found] == [0.25, 0.25]
    assert [item["body"] for item in old] == [item["body"] for item in new]
    assert router.tally.asked == 2
    assert router.tally.differences == [0.5, 0.5]
    kept = (tmp_path / "compared.jsonl").read_text()
    assert [json.loads(line)["risks"] for line in kept.splitlines()] == [[[0.25, 0.75]]] * 2
    assert not [mark for mark in ("MARKEDNAME", "48.62951", "age") if mark in kept]
    assert (tmp_path / "compared.jsonl").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("new", [_service(0.75, [], status=500), _service(0.75, [], breaks=True)])
@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.PART, Stage.ALL])
def test_whoever_the_new_one_fails_is_answered_by_the_old_one(tmp_path: Path, new: App, stage: Stage) -> None:
    way = Way(stage, OLD, NEW, share=1.0)
    (answer,), router = _asked(tmp_path, _service(0.25, []), new, way, [_post()])
    assert (answer.status_code, answer.json()["risk"]) == (200, 0.25)
    assert (router.tally.asked, router.tally.failed) == (1, 1)


def test_a_part_is_answered_by_the_new_one_and_each_patient_keeps_hers(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(60)]
    requests = [_post(headers={"relapse-patient": name}) for name in names for _ in range(2)]
    found, router = _asked(
        tmp_path, _service(0.25, []), _service(0.75, []), Way(Stage.PART, OLD, NEW, share=0.3), requests
    )
    by_new = [item.json()["risk"] == 0.75 for item in found]
    assert by_new[::2] == by_new[1::2]
    assert by_new[::2] == [belongs(KEY, identity(b"", name.encode()), 0.3) for name in names]
    assert 0 < sum(by_new) < len(by_new)
    assert router.tally.asked == sum(by_new)


def test_what_a_client_sent_arrives_as_it_was_sent(tmp_path: Path) -> None:
    old: list[dict[str, Any]] = []
    requests = [
        {"method": "GET", "url": "/model"},
        _post(url="/predict?curve=true", headers={"authorization": "Bearer a-token"}),
        {"method": "GET", "url": "/predict/48%2E6?a=%20b"},
        {"method": "POST", "url": "/film", "files": {"film": b"x" * 300_000}},
    ]
    _asked(tmp_path, _service(0.25, old), _service(0.75, []), Way(Stage.PART, OLD, NEW, share=0.0), requests)
    assert [(item["path"], item["query"]) for item in old] == [
        ("/model", b""),
        ("/predict", b"curve=true"),
        ("/predict/48.6", b"a=%20b"),
        ("/film", b""),
    ]
    assert (b"authorization", b"Bearer a-token") in old[1]["headers"]
    assert [value for name, value in old[1]["headers"] if name == b"host"] == [b"localhost"]
    assert b"x" * 300_000 in old[3]["body"]


def test_a_body_that_is_too_large_goes_to_the_service_whole_and_is_not_gathered_here(tmp_path: Path) -> None:
    old: list[dict[str, Any]] = []
    new: list[dict[str, Any]] = []

    async def chunks() -> Any:
        for _ in range(40):
            yield b"y" * 100

    requests = [{"method": "POST", "url": "/predict", "content": chunks()}]
    way = Way(Stage.SHADOW, OLD, NEW)
    _asked(tmp_path, _service(0.25, old), _service(0.75, new), way, requests, largest=500)
    assert old[0]["body"] == b"y" * 4000
    assert new == []


def test_uploads_and_pages_are_the_old_one_s_until_the_new_one_has_all(tmp_path: Path) -> None:
    requests = [{"method": "GET", "url": "/ui"}, {"method": "POST", "url": "/picture", "content": b"z"}]
    for stage, risk in ((Stage.SHADOW, 0.25), (Stage.PART, 0.25), (Stage.ALL, 0.75)):
        way = Way(stage, OLD, NEW, share=1.0)
        found, _ = _asked(tmp_path, _service(0.25, []), _service(0.75, []), way, requests)
        assert [item.json()["risk"] for item in found] == [risk, risk], stage


def test_where_nobody_is_behind_the_door_it_says_so(tmp_path: Path) -> None:
    gone = _service(0.25, [], breaks=True)
    (answer,), _ = _asked(tmp_path, gone, gone, Way(Stage.OLD, OLD), [_post()])
    assert answer.status_code == 503
    assert answer.json()["errors"][0]["message"].startswith("The service is not there.")
