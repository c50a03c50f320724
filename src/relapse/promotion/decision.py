"""The decision: promoted or kept, with every rule, its figure and its verdict."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the policy: what it asks for, the figure found, and whether that is enough."""

    name: str
    requirement: str
    figure: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """A candidate that was considered, and the names of the rules about itself that it breaks."""

    candidate: str
    title: str
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """A registered model: its version in the registry and the candidate it is."""

    version: str
    candidate: str


@dataclass(frozen=True, slots=True)
class Change:
    """One difference from the champion, of a kind that ``change_plan.yaml`` names; ``review`` where it asks for one."""

    kind: str
    what: str
    before: str
    now: str
    review: bool
    because: str


@dataclass(frozen=True, slots=True)
class Changes:
    """All differences from the champion of a version, by the plan of a digest."""

    champion: str
    plan: str
    found: tuple[Change, ...]

    @property
    def to_review(self) -> tuple[Change, ...]:
        """Those that do not pass without a person's review."""
        return tuple(item for item in self.found if item.review)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for a cohort.

    ``challenger`` is the candidate put forward; ``champion_before`` the registered champion it was held against, None
    where there was none; ``content_hash`` identifies the data, declaration, settings and predictions behind it.
    ``considered`` has every candidate of the run; ``policy`` is the section ``register`` of ``params.yaml``.
    ``changes`` are the differences from the champion under the plan of changes, None without a plan or a champion.
    """

    cohort: str
    challenger: str
    challenger_title: str
    champion_before: Version | None
    promoted: bool
    summary: str
    rules: tuple[Rule, ...]
    considered: tuple[Standing, ...]
    policy: dict[str, Any]
    content_hash: str
    changes: Changes | None = None

    def to_json(self, *, champion: Version | None = None) -> dict[str, Any]:
        """Plain values; ``champion`` is who is champion after the decision was carried out."""
        return asdict(self) | {"champion": asdict(champion) if champion else None}
