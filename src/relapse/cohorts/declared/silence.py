"""What a cohort declares of checks that it has looked at: which do not count, where, and why."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from relapse.ground.declarations import Declared
from relapse.ground.finding import Finding


class Silence(Declared):
    """Findings of one check that do not count, with the written reason, which goes into the report.

    ``columns`` are those of the findings as they are told; without any, all findings of the check are meant.
    """

    check: Annotated[str, Field(pattern=r"^[A-Z]\d{3}$")]
    columns: tuple[str, ...] = ()
    reason: Annotated[str, Field(min_length=10)]

    def covers(self, code: str, column: str) -> bool:
        """Whether a finding of check ``code`` in ``column`` is meant."""
        return self.check == code and (not self.columns or column in self.columns)

    def __str__(self) -> str:
        return self.check + (f" in {', '.join(self.columns)}" if self.columns else "")


def reason_for(silences: Iterable[Silence], code: str, column: str) -> str:
    """The written reason why a finding does not count, empty where it does."""
    return next((item.reason for item in silences if item.covers(code, column)), "")


def silenced(findings: Iterable[Finding], silences: Iterable[Silence]) -> tuple[Finding, ...]:
    """The findings, those that do not count with the reason why."""
    known = tuple(silences)
    return tuple(replace(item, silenced=reason_for(known, item.code, item.column)) for item in findings)
