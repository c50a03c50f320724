"""The gate: no table goes on that breaks a rule of its declaration or gives its outcome away."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import typed
from relapse.ground.errors import GateError
from relapse.ground.finding import Finding
from relapse.quality.checks.catalogue import findings as coded_findings
from relapse.quality.checks.catalogue import findings_in_broken
from relapse.quality.checks.context import DEFAULT, Context
from relapse.quality.expectations import build_expectations
from relapse.quality.hints import hint


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule on one column: kept or not, how many rows break it, the numbers of the first, and what mends it."""

    column: str
    rule: str
    passed: bool
    violations: int
    rows: tuple[int, ...]
    hint: str = ""

    def __str__(self) -> str:
        return f"{self._broken()} {self.hint}".rstrip()

    def _broken(self) -> str:
        found = f"{self.column}: expected {self.rule}"
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
        return all(item.passed for item in self.verdicts) and not any(
            finding.severity == "error" for finding in self.findings
        )

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
            "Row 1 is the first row of data. Correct the data, or the declaration where the rule is wrong."
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
    """
    verdicts = _validate(table, cohort, docs=docs)
    # Most coded checks look at a table that is what it says: a broken one has nothing to be typed.
    whole = all(item.passed for item in verdicts)
    findings = coded_findings(typed(table, cohort), cohort, context) if whole else findings_in_broken(table, cohort)
    return GateResult(tuple(verdicts), tuple(findings))


def _validate(table: pd.DataFrame, cohort: Cohort, *, docs: Path | None) -> list[Verdict]:
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
        detail = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]}
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
    unexpected = item.result.get("unexpected_index_list") or []
    rows = tuple(int(entry["row"]) for entry in unexpected[:5])
    return Verdict(
        column=meta["column"],
        rule=meta["rule"],
        passed=bool(item.success),
        violations=0 if item.success else int(item.result.get("unexpected_count") or 0),
        rows=() if item.success else rows,
        hint="" if item.success else hint(item.expectation_config.type, meta["column"], table, cohort),
    )
