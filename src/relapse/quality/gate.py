"""The gate: no table goes on that breaks a rule of its declaration or gives its outcome away."""

import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from relapse.cohorts.declared.silence import reason_for, silenced
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import typed
from relapse.ground.errors import DeclarationError, GateError
from relapse.ground.finding import Finding
from relapse.quality.checks.catalogue import findings as coded_findings
from relapse.quality.checks.catalogue import findings_in_broken
from relapse.quality.checks.context import DEFAULT, Context
from relapse.quality.codes import CODES, G001, OF_THE_GATE
from relapse.quality.expectations import build_expectations
from relapse.quality.hints import hint

#: How Great Expectations tells a result: of broken rules with the numbers of rows, which takes it three times as long.
_SHORT = {"result_format": "BASIC"}
_WITH_ROWS = {"result_format": "SUMMARY", "unexpected_index_column_names": ["row"]}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule on one column: kept or not, how many rows break it, the numbers of the first, and what mends it.

    ``silenced`` is the reason written in the declaration why a broken rule does not count.
    """

    code: str
    column: str
    rule: str
    passed: bool
    violations: int
    rows: tuple[int, ...]
    hint: str = ""
    silenced: str = ""

    @property
    def stops(self) -> bool:
        """Whether the pipeline ends here."""
        return not (self.passed or self.silenced)

    def __str__(self) -> str:
        said = f"{self._broken()} {self.hint}".rstrip()
        return f"{said} Silenced: {self.silenced}" if self.silenced else said

    def _broken(self) -> str:
        found = f"{self.code} {self.column}: expected {self.rule}"
        if not self.violations:
            return found + "."
        shown = ", ".join(str(row) for row in self.rows)
        more = ", …" if self.violations > len(self.rows) else ""
        noun = "row breaks" if self.violations == 1 else "rows break"
        return f"{found}; {self.violations} {noun} this: data row {shown}{more}."


@dataclass(frozen=True, slots=True)
class GateResult:
    """All verdicts and findings about one table."""

    verdicts: tuple[Verdict, ...]
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether the table may go on."""
        return not self.stopping

    @property
    def stopping(self) -> list[Verdict | Finding]:
        """What the pipeline ends for."""
        both: list[Verdict | Finding] = [*self.verdicts, *self.findings]
        return [item for item in both if item.stops]

    @property
    def told(self) -> list[Verdict | Finding]:
        """What a person has to hear of a table that passed: broken rules that were silenced, and every finding."""
        return [*(item for item in self.verdicts if not item.passed), *self.findings]

    def to_json(self) -> dict[str, object]:
        """Plain values, for a JSON file."""
        return {"passed": self.passed, **asdict(self)}

    def require(self, *, source: str) -> None:
        """Raise :class:`GateError` naming every broken rule, unless the table passed."""
        if self.passed:
            return
        broken = [str(verdict) for verdict in self.verdicts if not verdict.passed]
        # Warnings come along, errors first: they may say why a rule is broken.
        broken += [str(finding) for finding in sorted(self.findings, key=lambda finding: finding.severity)]
        raise GateError(
            f"{source} does not keep its declaration:\n  " + "\n  ".join(broken) + "\n"
            "Row 1 is the first row of data. Correct the data, or the declaration where the rule is wrong; "
            f"`relapse explain {self.stopping[0].code}` says more."
        )


def check(table: pd.DataFrame, cohort: Cohort, *, docs: Path | None = None, context: Context = DEFAULT) -> GateResult:
    """Hold a canonical table against the suite of its cohort.

    Parameters
    ----------
    table
        As ingested; columns that could not be read as declared are still text.
    cohort
        The declaration that the rules are derived from.
    docs
        Folder for the Data Docs, made anew; none are written where it is None.
    context
        What the run asks of the cohort's size.

    Raises
    ------
    DeclarationError
        ``silence`` names a check that there is not, or one that cannot be silenced.
    """
    _require_silenceable(cohort)
    verdicts = _validate(table, cohort, docs=docs, detail=_SHORT)
    if not all(item.passed for item in verdicts):
        verdicts = _validate(table, cohort, docs=docs, detail=_WITH_ROWS)
    # Most coded checks look at a table that is what it says: a broken one has nothing to be typed.
    whole = not any(item.stops for item in verdicts)
    found = coded_findings(typed(table, cohort), cohort, context) if whole else findings_in_broken(table, cohort)
    findings = silenced(found, cohort.silence)
    if whole:
        findings += _idle(cohort, [*(item for item in verdicts if not item.passed), *findings])
    return GateResult(tuple(verdicts), findings)


def _require_silenceable(cohort: Cohort) -> None:
    for item in cohort.silence:
        if item.check not in CODES:
            raise DeclarationError(
                f"silence: {item.check} is no check. There are: {', '.join(CODES)}. `relapse explain` says of what."
            )
        if CODES[item.check].lasting:
            raise DeclarationError(
                f"silence: {item.check} cannot be silenced, since {CODES[item.check].lasting}. "
                f"Instead: {CODES[item.check].remedy}."
            )


def _idle(cohort: Cohort, found: Iterable[Verdict | Finding]) -> tuple[Finding, ...]:
    """What is declared silent and was not there to be silenced."""
    there = list(found)
    return tuple(
        G001.found("silence", f"{item} was silenced, and nothing of the kind was found: delete it, or correct it.")
        for item in cohort.silence
        if item.check in OF_THE_GATE and not any(item.covers(one.code, one.column) for one in there)
    )


def _validate(table: pd.DataFrame, cohort: Cohort, *, docs: Path | None, detail: dict[str, Any]) -> list[Verdict]:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    with tempfile.TemporaryDirectory() as scratch:
        context = gx.get_context(mode="file", project_root_dir=scratch)
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        source = context.data_sources.add_pandas("tables")
        batch = source.add_dataframe_asset(cohort.name).add_batch_definition_whole_dataframe("whole")
        expectations = build_expectations(cohort, table)
        suite = context.suites.add(gx.ExpectationSuite(cohort.name, expectations=expectations))
        definition = gx.ValidationDefinition(name=cohort.name, data=batch, suite=suite)
        validation = context.validation_definitions.add(definition)
        checkpoint = gx.Checkpoint(name=cohort.name, validation_definitions=[validation], result_format=detail)
        outcome = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": table})
        (result,) = outcome.run_results.values()
        if docs is not None:
            from relapse.quality.data_docs import write_data_docs

            write_data_docs(context, docs, cohort=cohort)
    return [_verdict(item, table, cohort) for item in result.results]


def _verdict(item: Any, table: pd.DataFrame, cohort: Cohort) -> Verdict:
    meta = item.expectation_config.meta
    if item.exception_info.get("raised_exception"):
        raise RuntimeError(f"{meta['column']}: the rule '{meta['rule']}' could not be evaluated.")
    unexpected = item.result.get("partial_unexpected_index_list") or []
    rows = tuple(int(entry["row"]) for entry in unexpected[:5])
    return Verdict(
        code=meta["code"],
        column=meta["column"],
        rule=meta["rule"],
        passed=bool(item.success),
        violations=0 if item.success else int(item.result.get("unexpected_count") or 0),
        rows=() if item.success else rows,
        hint="" if item.success else hint(item.expectation_config.type, meta["column"], table, cohort),
        silenced="" if item.success else reason_for(cohort.silence, meta["code"], meta["column"]),
    )
