"""The door of a deployment: one process that keeps the served release running, and carries out orders to replace it."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from relapse.change.plan import Plan, read_plan
from relapse.deployment.choosing import Stage
from relapse.deployment.place import Place
from relapse.deployment.record import append
from relapse.deployment.release import Release, opened, unpack
from relapse.deployment.rollout import TakingOver, because
from relapse.deployment.router import Router, Way
from relapse.deployment.service import Service
from relapse.deployment.smoke import smoke, until_ready
from relapse.ground.console import say
from relapse.ground.environment import TIMEOUT
from relapse.ground.errors import DeclarationError, DeploymentError
from relapse.serving.access import require_token_beyond_loopback
from relapse.serving.settings import serving

#: Seconds between two looks for an order, and at whether what is served is still there.
_LOOK = 0.2


def serve(place: Place, bento: Path, *, host: str, port: int, who: str) -> None:
    """Serve until the process is told to end: the release that was served last here, or that of ``bento`` at first.

    Raises
    ------
    DeploymentError
        Another door is at work here, there is nothing to serve, or what there is does not pass its smoke test.
    ServingError
        Anyone on the network could ask, and there is no token.
    DeclarationError
        The project has no plan of changes.
    """
    require_token_beyond_loopback(serving().token, host)
    # httpx tells every address that it asks for, and an address can hold anything.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    plan(place.root)
    with place.alone():
        last = place.told().get("release")
        folder = place.releases / str(last) if last else None
        release = opened(folder) if folder and folder.is_dir() else unpack(bento, place.releases)
        asyncio.run(_serve(place, release, host=host, port=port, who=who))


def plan(root: Path) -> Plan:
    """The plan of a project, which a deployment needs."""
    found = read_plan(root)
    if found is None:
        raise DeclarationError(f"{root / 'change_plan.yaml'}: no such file. Say in it how a new model takes over.")
    return found


async def _serve(place: Place, release: Release, *, host: str, port: int, who: str) -> None:
    service = Service(release, place.folder / "services" / f"door-{os.getpid()}")
    service.start()
    # What a service may take, and a little more: it says itself that it took too long.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    timeout = httpx.Timeout((TIMEOUT.get() or 10.0) + 5, pool=None)
    async with httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False) as client:
        try:
            await _ready(service, client, plan(place.root).rollout.ready_seconds)
            router = Router(client, Way(Stage.OLD, service.url), place.key(), place.compared, release.largest)
            config = uvicorn.Config(
                router, host=host, port=port, log_level="warning", access_log=False, lifespan="off", server_header=False
            )
            server, door = _Server(config), _Door(place, client, router, service, f"http://127.0.0.1:{port}")
            append(place.record, "opened", who, new=release.name)
            place.tell(stage=str(Stage.OLD), release=release.folder.name, pid=os.getpid(), url=f"http://{host}:{port}")
            say(f"{release.name} is served on http://{host}:{port}")
            for sign in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(sign, server.leave)
            orders = asyncio.create_task(door.work(who))
            try:
                await server.serve()
            finally:
                orders.cancel()
                await asyncio.gather(orders, return_exceptions=True)
                service = door.service
                append(place.record, "closed", who, new=service.release.name)
        finally:
            await asyncio.to_thread(service.stop)


async def _ready(service: Service, client: httpx.AsyncClient, seconds: float) -> None:
    ready = await until_ready(service, client, seconds)
    # Its answers will be kept: it only explains the example.
    found = [ready, *(await smoke(service, client, float("inf")) if ready.passed else [])]
    if failed := [item for item in found if not item.passed]:
        said = "; ".join(f"{item.name}: {item.found}" for item in failed)
        raise DeploymentError(f"{service.release.name} is not fit to be served: {said}. See {service.log}.")


class _Server(uvicorn.Server):
    """Ends when it is told to, and lets this process tidy up: uvicorn's own would send itself the signal once more."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: whoever runs this listens for signals."""
        yield

    def leave(self) -> None:
        """Finish what is in flight, then end."""
        self.should_exit = True


class _Door:
    """Looks after what is served, and carries out one order after the other."""

    def __init__(self, place: Place, client: httpx.AsyncClient, router: Router, service: Service, url: str) -> None:
        self.place, self.client, self.router, self.service, self.url = place, client, router, service, url
        self._done = int(place.told().get("order", 0))
        self._owed: list[Callable[[], object]] = []
        self._told = False

    async def work(self, who: str) -> None:
        """Until cancelled."""
        while True:
            self._settle()
            if self.service.ended:
                await self._again(who)
            order = self.place.ordered()
            if int(order.get("number", 0)) > self._done:
                await self._carry_out(order["number"], Path(order["bento"]), order["who"])
            await asyncio.sleep(_LOOK)

    async def _again(self, who: str) -> None:
        """Start what is served once more: its process ended by itself."""
        self._write("restarted", who, new=self.service.release.name)
        await asyncio.to_thread(self.service.stop)
        self.service.start()
        await until_ready(self.service, self.client, plan(self.place.root).rollout.ready_seconds)
        self.router.turn(Way(Stage.OLD, self.service.url))

    async def _carry_out(self, number: int, bento: Path, who: str) -> None:
        self._done, before, taking = number, self.service, None
        try:
            release = await asyncio.to_thread(unpack, bento, self.place.releases)
            if release.cohort != before.release.cohort:
                raise DeploymentError(f"{bento.name} is of cohort {release.cohort}, not of {before.release.cohort}.")
            if release.manifest == before.release.manifest:
                self._write("unchanged", who, order=number, because=f"{release.name} is served already")
                self._tell(order=number)
                return
            self.router.largest = max(release.largest, before.release.largest)
            taking = TakingOver(
                self.place,
                self.router,
                self.client,
                plan(self.place.root).rollout,
                before,
                release,
                who,
                number,
                self.url,
            )
            self.service = await taking.run()
        except Exception as error:
            # What is served goes on being served, and who asked is told.
            event = "rolled back" if taking and taking.begun else "refused"
            self._write(event, who, order=number, old=before.release.name, because=because(error))
        self._tell(order=number, release=self.service.release.folder.name, stage=str(Stage.OLD))

    def _write(self, event: str, who: str, **said: Any) -> None:
        self._owed.append(lambda: append(self.place.record, event, who, **said))
        self._settle()

    def _tell(self, **said: Any) -> None:
        self._owed.append(lambda: self.place.tell(**said))
        self._settle()

    def _settle(self) -> None:
        """Write down what is to be written; where the disk takes nothing it is said, and tried again at the next look.

        Patients are answered meanwhile, and what is served is started again where it ends.
        """
        while self._owed:
            try:
                self._owed[0]()
            except OSError as error:
                if not self._told:
                    say(f"{self.place.folder}: {error.strerror}. Patients are answered; the record waits for room.")
                self._told = True
                return
            self._owed.pop(0)
        self._told = False
