"""What is counted while a new model is tried: its answers, failures and times, and how far it lies from the old one."""

from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(slots=True)
class Tally:
    """Counts of one step. ``failed`` are requests that the new model did not answer as it should have."""

    asked: int = 0
    failed: int = 0
    skipped: int = 0
    milliseconds: list[float] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)

    def answered(self, milliseconds: float) -> None:
        """Count an answer of the new model."""
        self.asked += 1
        self.milliseconds.append(milliseconds)

    def fail(self, reason: str) -> None:
        """Count a request that the new model failed; ``reason`` is a status or the name of an error."""
        self.asked += 1
        self.failed += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    @property
    def share(self) -> float:
        """The share of requests that failed."""
        return self.failed / self.asked if self.asked else 0.0

    def summary(self) -> dict[str, Any]:
        """As the record has it."""
        found: dict[str, Any] = {"requests": self.asked, "failed": self.failed}
        if self.reasons:
            found["reasons"] = dict(self.reasons)
        if self.skipped:
            found["not_asked"] = self.skipped
        if self.milliseconds:
            found["median_ms"] = round(median(self.milliseconds), 1)
        if self.differences:
            found["risk_differs"] = {
                "answers": len(self.differences),
                "median": round(median(self.differences), 4),
                "largest": round(max(self.differences), 4),
            }
        return found
