"""Coded checks: what a code stands for, and what a check that has it finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of a coded check; ``rows`` are the first row numbers concerned, where rows are.

    ``silenced`` is the reason written in the declaration why it does not count, and empty where it does.
    """

    code: str
    severity: Severity
    column: str
    message: str
    rows: tuple[int, ...] = ()
    silenced: str = ""

    @property
    def stops(self) -> bool:
        """Whether the pipeline ends here."""
        return self.severity == "error" and not self.silenced

    def __str__(self) -> str:
        found = f"{self.severity} {self.code} {self.column}: {self.message}"
        found += f" First data rows: {', '.join(map(str, self.rows))}." if self.rows else ""
        return found + (f" Silenced: {self.silenced}" if self.silenced else "")


@dataclass(frozen=True, slots=True)
class Code:
    """One check by its code: how grave it is, what it finds and what to do, in the words of the docs.

    ``in_broken`` says that it also runs on a table that breaks a rule of its declaration. ``lasting`` says why it
    cannot be silenced, where it cannot.
    """

    code: str
    severity: Severity
    finds: str
    remedy: str
    in_broken: bool = False
    lasting: str = ""

    def found(self, column: str, message: str, rows: tuple[int, ...] = ()) -> Finding:
        """A finding of this check, in ``column``."""
        return Finding(self.code, self.severity, column, message, rows)


@dataclass(frozen=True, slots=True)
class Family:
    """Codes of one letter, and what they have in common, in paragraphs."""

    title: str
    about: str
    codes: Sequence[Code]

    @property
    def letter(self) -> str:
        """What each of its codes begins with."""
        return self.codes[0].code[0]
