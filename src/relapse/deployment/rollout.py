"""One release taking over from another: shadow, part, all; at the first failure the old one has all patients again."""

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from relapse.change.plan import Rollout, Step
from relapse.deployment.choosing import Stage
from relapse.deployment.place import Place
from relapse.deployment.record import append
from relapse.deployment.release import Release
from relapse.deployment.router import Router, Way
from relapse.deployment.service import Service
from relapse.deployment.smoke import Check, smoke, until_ready
from relapse.ground.errors import RelapseError
from relapse.ground.outside import outside

#: Requests after which a step may be ended early by its share of failures: one of one is no share.
_EARLY = 5


class Failed(Exception):
    """A release did not do what it has to; the message says what, and is written down."""


@dataclass(slots=True)
class TakingOver:
    """What a roll-out works with; ``who`` asked for it, ``number`` tells it from others."""

    place: Place
    router: Router
    client: httpx.AsyncClient
    plan: Rollout
    old: Service
    release: Release
    who: str
    number: int
    door: str
    begun: bool = False

    async def run(self) -> Service:
        """Bring the release into service; returns the service that has all patients afterwards, the old one or the new.

        The record has every step, and ends with ``done`` or ``rolled back``. Raises :class:`OSError` where the end
        cannot be written down; the old one then has all patients.
        """
        new = self._service(shadow=True)
        self._write("begin", plan=self.plan.model_dump(mode="json"))
        self.begun = True
        try:
            await self._started(new)
            await self._step(Stage.SHADOW, new, self.plan.shadow)
            quiet, new = new, self._service(shadow=False)
            await self._started(new)
            self.router.turn(Way(Stage.OLD, self.old.url))
            await _stopped(quiet)
            await self._step(Stage.PART, new, self.plan.part)
            await self._step(Stage.ALL, new, self.plan.all)
            self._judge("through the door", await smoke(new, self.client, self.plan.milliseconds, url=self.door))
            # The last thing that can fail: what the record cannot hold has not taken over.
            self._write("done")
        except Exception as error:
            # Whatever it was: patients are answered first, then it is said.
            self.router.turn(Way(Stage.OLD, self.old.url))
            try:
                self._write("rolled back", because=str(error) if isinstance(error, Failed) else because(error))
            finally:
                await _stopped(new)
            return self.old
        except asyncio.CancelledError:
            try:
                self._write("rolled back", because="the door was closed")
            finally:
                await _stopped(new)
            raise
        self.router.turn(Way(Stage.OLD, new.url))
        await _stopped(self.old)
        return new

    def _service(self, *, shadow: bool) -> Service:
        home = self.place.folder / "services" / f"{self.number}-{'shadow' if shadow else 'given'}"
        return Service(self.release, home, shadow=shadow)

    async def _started(self, new: Service) -> None:
        new.start()
        ready = await until_ready(new, self.client, self.plan.ready_seconds)
        found = [ready, *(await smoke(new, self.client, self.plan.milliseconds) if ready.passed else [])]
        self._judge("in the shadow" if new.shadow else "before it answers", found)

    async def _step(self, stage: Stage, new: Service, step: Step) -> None:
        self.router.turn(Way(stage, self.old.url, new.url, step.share or 0.0))
        self.place.tell(stage=str(stage))
        self._write(f"{stage} begun")
        tally, until = self.router.tally, time.monotonic() + step.seconds
        while time.monotonic() < until and tally.asked < step.requests:
            if new.ended:
                raise Failed(f"{stage}: its process ended, see {new.log.name} of {new.home.name}")
            if self.old.ended and stage is not Stage.ALL:
                # Back to the door, which starts it again: what was not tried whole does not take over in an emergency.
                raise Failed(f"{stage}: the process of the old one ended")
            if tally.asked >= _EARLY and tally.share > self.plan.errors:
                break
            await asyncio.sleep(0.05)
        found = tally.summary()
        if tally.share > self.plan.errors:
            raise Failed(
                f"{stage}: it failed {tally.failed} of {tally.asked} requests ({tally.reasons}), and at most "
                f"{self.plan.errors:.1%} may fail"
            )
        self._write(f"{stage} passed", figures=found)

    def _judge(self, when: str, found: list[Check]) -> None:
        self._write(f"smoke test {when}", checks=[asdict(item) for item in found])
        if failed := [item for item in found if not item.passed]:
            said = "; ".join(f"{item.name}: {item.found} (asked: {item.asked})" for item in failed)
            raise Failed(f"smoke test {when}: {said}")

    def _write(self, event: str, **said: Any) -> None:
        names = {"order": self.number, "old": self.old.release.name, "new": self.release.name}
        append(self.place.record, event, self.who, **names, **said)


def because(error: Exception) -> str:
    """Why, as it is written down: no text that could quote a patient."""
    return str(error) if isinstance(error, RelapseError) else outside(error) or type(error).__name__


async def _stopped(service: Service) -> None:
    await asyncio.to_thread(service.stop)
