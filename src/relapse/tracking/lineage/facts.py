"""What is told of a model's way back: facts, each with what was recorded and whether it holds on this machine now."""

from dataclasses import dataclass
from typing import Any, Literal

#: Whether what was recorded is so now, on this machine: it is, it is not, or there is nothing here to hold it against.
Standing = Literal["as recorded", "differs now", "not here"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was recorded; ``now`` is None where there is nothing to hold it against anywhere."""

    what: str
    recorded: str
    now: Standing | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way back, such as the data."""

    title: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Lineage:
    """The way back from a model to its sources, step by step."""

    model: str
    steps: tuple[Step, ...]

    @property
    def differing(self) -> list[str]:
        """What is no longer as recorded."""
        return [f"{step.title}: {fact.what}" for step in self.steps for fact in step.facts if fact.now == "differs now"]

    def to_json(self) -> dict[str, Any]:
        """Plain values: step by step, fact by fact."""
        steps = {
            step.title: [
                {"what": fact.what, "recorded": fact.recorded, "now": fact.now, "note": fact.note}
                for fact in step.facts
            ]
            for step in self.steps
        }
        return {"model": self.model, "steps": steps, "differing": self.differing}

    def lines(self) -> list[str]:
        """For people: a line a fact, its mark first."""
        found = [self.model]
        for step in self.steps:
            found.append(step.title)
            for fact in step.facts:
                note = f" ({fact.note})" if fact.note else ""
                found.append(f"  {fact.now or '':11}  {fact.what}: {fact.recorded}{note}")
        return found


def compared(what: str, recorded: str, found: str | None, *, note: str = "") -> Fact:
    """A fact held against what is found here, None where nothing is."""
    if found is None:
        return Fact(what, recorded, "not here", note)
    if found == recorded:
        return Fact(what, recorded, "as recorded", note)
    return Fact(what, recorded, "differs now", "; ".join(part for part in (f"now {found}", note) if part))
