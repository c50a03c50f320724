"""What a person says of a table: beforehand, when asked, or by letting a guess stand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from relapse.drafting.columns import Column
from relapse.drafting.sniffing import named
from relapse.ground.errors import DeclarationError

#: What is said in the place of a column where there is none.
NONE = "none"


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person said, in words: names of columns, ``none``, two dates as ``from..to``; None where nothing was."""

    outcome: str | None = None
    time: str | None = None
    unit: str | None = None
    patient: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One of the five questions: what is asked, the guess, and what reads an answer or refuses it."""

    key: str
    text: str
    guess: str
    read: Callable[[str], Any]


Ask = Callable[[Question], str]


class Said:
    """Answers given beforehand, asked for, or the guess: in this order."""

    def __init__(self, columns: Mapping[str, Column], answers: Answers, ask: Ask | None) -> None:
        self.columns, self.answers, self.ask = columns, answers, ask

    def answer(self, key: str, text: str, guess: str, read: Callable[[str], Any]) -> Any:
        """What ``read`` makes of the words: said beforehand, asked for with ``text``, or the guess."""
        given = getattr(self.answers, key)
        if given is None and self.ask is not None:
            given = self.ask(Question(key, text, guess, read))
        return read(guess if given is None else given)

    def column(self, key: str, text: str, guess: str | None) -> str | None:
        """A column by its name, or None."""
        return self.answer(key, text, guess or NONE, lambda words: None if words == NONE else self.named(words, key))

    def named(self, typed: str, key: str) -> str:
        """The column of a name, whatever its case; refuses one that is not there."""
        there = named(list(self.columns))
        found = typed if typed in self.columns else there.get(typed.strip().casefold())
        if found is None:
            shown = ", ".join(list(self.columns)[:30]) + (", …" if len(self.columns) > 30 else "")
            raise DeclarationError(f"{key}: no column {typed!r}. There are: {shown}; or {NONE}.")
        return found

    def answered(self, key: str) -> bool:
        """Whether a person said it."""
        return getattr(self.answers, key) is not None or self.ask is not None
