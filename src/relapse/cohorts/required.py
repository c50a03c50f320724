"""Whether the sources hold every column that a declaration uses, and what to say where they do not."""

import difflib
from pathlib import Path

from relapse.cohorts.declared.source import CsvSource, ExcelSource, Source, SqlSource
from relapse.cohorts.diagnosis.files import names_elsewhere
from relapse.cohorts.grids import first_lines
from relapse.cohorts.joining import Rows
from relapse.cohorts.schema import Cohort
from relapse.cohorts.sources import locate
from relapse.ground.errors import SourceError


def require_columns(rows: Rows, cohort: Cohort, *, root: Path, where: str) -> None:
    """See that every column which the declaration uses stands in the sources, and the patients' in the first.

    Raises
    ------
    SourceError
        With the columns that are lacking, what they are needed for, and what is there.
    """
    needed = cohort.needed_columns
    present = list(rows.origin)
    lacking = {column: role for column, role in needed.items() if column not in present}
    if not {name.casefold() for name in needed} & {name.casefold() for name in present}:
        if isinstance(cohort.source_of("event"), SqlSource):
            raise SourceError(
                f"{where}: none of the declared columns ({', '.join(list(needed)[:5])}, …) is in the answer to the "
                f"query, which has: {', '.join(present[:40])}. Name each in the query, `select … as size`, or under "
                "'column'."
            )
        # What stands in the header line may then be a patient, and is not repeated.
        raise SourceError(
            f"{where}: none of the declared columns ({', '.join(list(needed)[:5])}, …) stands in the header line. "
            + (
                _other_header(set(needed), set(lacking), cohort.source_of("event"), root=root)
                or "If the file has no header line, name its columns under source: `columns: [...]`; if they stand in "
                "another line, declare it: `header: 2`; if they are others, name each under 'column'."
            )
        )
    if lacking:
        noun = "sources have" if cohort.sources else "source has"
        shown = ", ".join(present[:40]) + (" …" if len(present) > 40 else "")
        lines = [f"  {column} ({role}){_near(column, present)}" for column, role in lacking.items()]
        raise SourceError(
            f"{where}: column missing:\n"
            + "\n".join(lines)
            + f"\nThe {noun} {len(present)} columns: {shown}.\n"
            + (
                _other_header(set(needed), set(lacking), cohort.source_of("event"), root=root)
                or "Rename the column, or name the source's column under 'column' in the declaration."
            )
        )
    first = next(iter(cohort.read_from))
    beginning = [cohort.survival.from_] if cohort.survival and cohort.survival.from_ else []
    of_the_first = (*cohort.view, *beginning, *cohort.outcome_columns)
    astray = [column for column in of_the_first if rows.origin[column] != first]
    if astray:
        raise SourceError(
            f"{where}: column {astray[0]} ({needed[astray[0]]}) stands in {rows.origin[astray[0]]}, which is joined; "
            f"the first of the sources, {first}, holds patients and outcome. Put the source that has them first."
        )


def _near(column: str, present: list[str]) -> str:
    near = difflib.get_close_matches(column.casefold(), [name.casefold() for name in present], n=1)
    spelled = [name for name in present if near and name.casefold() == near[0]]
    return f" - did you mean {spelled[0]}?" if spelled else ""


def _other_header(needed: set[str], lacking: set[str], source: Source, *, root: Path) -> str | None:
    """What to say where the columns that are lacking are named in another of the first lines."""
    if not isinstance(source, CsvSource | ExcelSource):
        return None
    lines = first_lines(source, locate(source, root=root))
    return names_elsewhere(lines, needed, lacking, source.header_lines)
