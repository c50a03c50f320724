"""What a coded check finds."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of a coded check; ``rows`` are the first row numbers concerned, where rows are."""

    code: str
    severity: Literal["error", "warning"]
    column: str
    message: str
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        found = f"{self.severity} {self.code} {self.column}: {self.message}"
        return found + (f" First data rows: {', '.join(map(str, self.rows))}." if self.rows else "")
