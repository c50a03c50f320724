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
class Decision:
    """What was decided for a cohort.

    ``challenger`` is the candidate put forward; ``champion_before`` the registered champion it was held against, None
    where there was none; ``content_hash`` identifies the data, declaration, settings and predictions behind it.
    ``considered`` has every candidate of the run; ``policy`` is the section ``register`` of ``params.yaml``.
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

    def to_json(self, *, champion: Version | None = None) -> dict[str, Any]:
        """Plain values; ``champion`` is who is champion after the decision was carried out."""
        return asdict(self) | {"champion": asdict(champion) if champion else None}
