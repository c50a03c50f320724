"""Where a deployment lies, ``deployments/<cohort>/``, and what its door and the commands tell each other there."""

import fcntl
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relapse.ground.errors import DeploymentError
from relapse.ground.files import read_json, write_json, write_text


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of a cohort's deployment below a project."""

    cohort: str
    root: Path = Path()

    @property
    def folder(self) -> Path:
        """All of it."""
        return self.root / "deployments" / self.cohort

    @property
    def releases(self) -> Path:
        """Bentos unpacked, each under the digest of its file."""
        return self.folder / "releases"

    @property
    def record(self) -> Path:
        """What happened, event by event."""
        return self.folder / "record.jsonl"

    @property
    def compared(self) -> Path:
        """Pairs of answers of the old and the new model, from shadows."""
        return self.folder / "compared.jsonl"

    @property
    def state(self) -> Path:
        """What the door says of itself: stage, releases, the last order and what became of it."""
        return self.folder / "state.json"

    @property
    def order(self) -> Path:
        """What the door is asked to bring into service."""
        return self.folder / "order.json"

    def told(self) -> dict[str, Any]:
        """The door's own word; empty before there was one."""
        found: dict[str, Any] = read_json(self.state) if self.state.is_file() else {}
        return found

    def tell(self, **said: Any) -> None:
        """Change what the door says of itself."""
        write_json(self.state, self.told() | said)

    def ordered(self) -> dict[str, Any]:
        """The last order; empty where there was none."""
        found: dict[str, Any] = read_json(self.order) if self.order.is_file() else {}
        return found

    def key(self) -> bytes:
        """By which patients are parted: drawn once, readable by the owner alone, so that a patient keeps her model."""
        path = self.folder / "key"
        if not path.is_file():
            # Half of one, or none, would part patients otherwise after the next start.
            write_text(path, secrets.token_hex(32), mode=0o600)
        return path.read_text().encode()

    @property
    def open(self) -> bool:
        """Whether a door is at work here."""
        if not self.folder.is_dir():
            return False
        try:
            with self.alone():
                return False
        except DeploymentError:
            return True

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only door of this place; the operating system lets go when the process ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DeploymentError(f"{self.folder}: another `relapse deploy serve` is at work here.") from None
            yield
