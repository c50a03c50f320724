"""From a rejected request to an answer that names field and allowed values, and holds nothing of what was sent.

Pydantic's own messages are not passed on: each kind of error has its sentence here, and one without a sentence gets
the most general. The only piece of a request that can come back is the name of an unknown field, and that only where it
looks like the name of a column.
"""

import difflib
import re
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, Field, ValidationError

from relapse.cohorts.schema import Cohort
from relapse.serving.patients import INCOMPLETE, MAX_BATCH, UNUSABLE, allowed

#: Problems listed in one answer; a batch could otherwise have tens of thousands.
MAX_LISTED = 50

UNREADABLE = "Not readable as JSON: malformed, not UTF-8, nested too deeply, or with a number of too many digits."

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")

_SENTENCES = {
    "missing": "This field is required and missing.",
    INCOMPLETE: "Missing, and other values of its block are there: give this one, too, or leave out the whole block.",
    "extra_forbidden": "There is no such field.",
    "finite_number": "Not a finite number.",
    "greater_than_equal": "Below the allowed range.",
    "less_than_equal": "Above the allowed range.",
    "literal_error": "Not one of the levels.",
    "float_type": "Not a number.",
    "int_type": "Not a whole number.",
    "int_parsing_size": "Not a whole number in range.",
}


class Problem(BaseModel):
    """One thing wrong with a request."""

    index: int | None = Field(default=None, description="Position of the patient in the list, from 0; batches only.")
    field: str | None = Field(default=None, description="Name of the field; null where the whole body is meant.")
    message: str
    allowed: str | None = Field(default=None, description="What the field takes.")


class Problems(BaseModel):
    """The body of every refused request."""

    errors: list[Problem]

    def body(self) -> bytes:
        """As JSON; keys without a value are left out."""
        return self.model_dump_json(exclude_none=True).encode()


def of_body(message: str) -> Problems:
    """A problem of the whole body."""
    return Problems(errors=[Problem(message=message)])


def is_malformed(error: ValidationError) -> bool:
    """Whether the body was no JSON at all."""
    return any(item["type"] == "json_invalid" for item in _items(error))


def of_validation(error: ValidationError, cohort: Cohort) -> Problems:
    """The problems that a rejected body has, :data:`MAX_LISTED` at most."""
    items = list(_items(error))
    listed = [_problem(item["type"], item["loc"], item["msg"], cohort) for item in items[:MAX_LISTED]]
    if len(items) > MAX_LISTED:
        listed.append(Problem(message=f"And {len(items) - MAX_LISTED} more problems."))
    return Problems(errors=listed)


def of_repeated(found: Sequence[tuple[int, str]], cohort: Cohort, *, batch: bool) -> Problems:
    """Fields of patients, by their position, that were given more than once."""
    message = "Given more than once: one value a field."
    listed = [
        Problem(index=index if batch else None, field=name, message=message, allowed=allowed(cohort, name))
        for index, name in found[:MAX_LISTED]
    ]
    if len(found) > MAX_LISTED:
        listed.append(Problem(message=f"And {len(found) - MAX_LISTED} more problems."))
    return Problems(errors=listed)


def _items(error: ValidationError) -> Iterable[dict[str, object]]:
    return error.errors(include_url=False, include_context=False, include_input=False)  # type: ignore[return-value]


def _problem(kind: object, location: object, said: object, cohort: Cohort) -> Problem:
    place = location if isinstance(location, tuple) else ()
    index = next((part for part in place if isinstance(part, int)), None)
    names = [part for part in place if isinstance(part, str)]
    if kind == "json_invalid":
        return Problem(message=UNREADABLE)
    if not names:
        return Problem(index=index, message=_of_the_whole(str(kind)))
    name = names[0]
    if name not in cohort.inputs:
        near = difflib.get_close_matches(name, cohort.inputs, n=1)
        message = _SENTENCES["extra_forbidden"] + (f" Did you mean {near[0]}?" if near else "")
        field = name if _NAME.fullmatch(name) else "(unknown)"
        return Problem(index=index, field=field, message=message, allowed="fields: " + ", ".join(cohort.inputs))
    # The only words that are passed on: those of the list of faults.
    message = str(said) if kind == UNUSABLE else _SENTENCES.get(str(kind), "Not an allowed value.")
    return Problem(index=index, field=name, message=message, allowed=allowed(cohort, name))


def _of_the_whole(kind: str) -> str:
    if kind in ("too_short", "too_long", "list_type"):
        return f"Expected a JSON list of 1 to {MAX_BATCH} patients."
    return "Expected a JSON object: the fields of one patient."
