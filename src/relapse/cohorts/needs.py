"""What of a cohort a user has to bring: the variables that name it, and where it is had."""

import os
from dataclasses import dataclass

from relapse.cohorts.declared.source import OwnSource
from relapse.cohorts.schema import Cohort
from relapse.cohorts.sources import describe
from relapse.cohorts.variables import variables_in
from relapse.ground.errors import SourceError


@dataclass(frozen=True, slots=True)
class Need:
    """A variable that a declaration reads, and where what it names is had, as far as that is declared."""

    variable: str
    obtain: str | None

    @property
    def met(self) -> bool:
        """Whether it is set here."""
        return self.variable in os.environ

    def __str__(self) -> str:
        had = f"To be had from: {self.obtain}" if self.obtain else "docs/declaring.md says what it names"
        return f"environment variable {self.variable} is not set. {had}."


def needs(cohort: Cohort) -> list[Need]:
    """The variables of a cohort's declaration, each once: those of its sources, then those of its images."""
    found: dict[str, Need] = {}
    for source in cohort.read_from.values():
        obtain = source.obtain if isinstance(source, OwnSource) else None
        for name in variables_in(describe(source)):
            found.setdefault(name, Need(name, obtain))
    folders = [cohort.volumes.folder, cohort.volumes.encoder.file] if cohort.volumes else []
    folders += [cohort.films.reader] if cohort.films else []
    for folder in folders:
        for name in variables_in(folder or ""):
            found.setdefault(name, Need(name, None))
    return list(found.values())


def require_needs(cohort: Cohort) -> None:
    """See that every variable of a cohort is set.

    Raises
    ------
    SourceError
        Some are not; the message says of each where what it names is had.
    """
    unset = [need for need in needs(cohort) if not need.met]
    if unset:
        raise SourceError("\n".join(f"{cohort.name}: {need}" for need in unset))
