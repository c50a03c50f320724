"""What a cohort declares of rows that are left out."""

from typing import Any, Literal

from pydantic import field_validator, model_validator

from relapse.ground.declarations import Declared


class Exclusion(Declared):
    """Rows left out, and why: exactly one of the conditions, on a column of the source."""

    column: str
    reason: str
    missing: Literal[True] | None = None
    equals: tuple[str, ...] | None = None
    below: float | None = None
    above: float | None = None

    @field_validator("equals", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        if value is None:
            return None
        return tuple(str(item) for item in (value if isinstance(value, list) else [value]))

    @model_validator(mode="after")
    def _one_condition(self) -> "Exclusion":
        given = [key for key in ("missing", "equals", "below", "above") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of missing, equals, below, above; found {len(given)}.")
        return self
