"""What was done with missing values, as declared and by each candidate: from the training records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relapse.cohorts.declared.features import Missing
from relapse.cohorts.missing import rule
from relapse.cohorts.schema import Cohort
from relapse.preprocessing.treatment import Handled
from relapse.report.material import Material
from relapse.wording import count

#: The rules in words, as they are declared.
RULES: Mapping[Missing, str] = {
    Missing.MEDIAN: "filled with the median or the most frequent level",
    Missing.INDICATOR: "filled with the median or the most frequent level, with an indicator of having been missing",
    Missing.ITERATIVE: "imputed from the other predictors by chained Bayesian ridge regressions, the outcome left out "
    "(levels as codes, rounded to one of them)",
    Missing.NATIVE: "left missing for trees, and for all others filled with an indicator",
}

_UNUSED = "not used"


@dataclass(frozen=True, slots=True)
class MissingTable:
    """Titles of the candidates, and a row a feature, or some of a wide block: label, share missing, rule, cells."""

    candidates: list[str]
    rows: list[tuple[str, str, str, list[str]]]


def handled_by(record: Mapping[str, Any]) -> dict[str, Handled]:
    """What one candidate did, by feature."""
    return {item["feature"]: Handled(**item) for item in record.get("missing", ())}


def missing_table(m: Material) -> MissingTable:
    """What each candidate did, a row a feature that may be missing; those of a wide block treated alike share one."""
    done = {name: handled_by(record) for name, record in m.records.items()}
    together = {name for block in m.cohort.wide_blocks for name in m.cohort.numeric(m.cohort.block_features(block))}
    rows: dict[tuple[str, str, tuple[str, ...]], list[tuple[str, float]]] = {}
    for name in m.cohort.predictors:
        found = [mine[name] for mine in done.values() if name in mine]
        if not found:
            continue
        block = m.cohort.features[name].block
        label = m.cohort.block_title(block) if block and name in together else m.cohort.label(name)
        cells = tuple(_cell(mine[name]) if name in mine else _UNUSED for mine in done.values())
        rows.setdefault((label, found[0].declared, cells), []).append((name, found[0].share))
    return MissingTable(
        [m.records[name]["title"] for name in done],
        [
            (
                f"{label}: {count(len(members), 'feature')}" if members[0][0] in together else label,
                _shares(members),
                declared,
                list(cells),
            )
            for (label, declared, cells), members in rows.items()
        ],
    )


def in_words(cohort: Cohort) -> str:
    """The declared rules in a sentence or two."""
    rules = [rule(cohort, name) for name in cohort.predictors]
    counted = {item: rules.count(item) for item in RULES if item in rules}
    if not counted:
        return "By declaration no value of a predictor may be missing: a table with one is not trained on."
    said = [f"{count(often, 'predictor')} {RULES[item]}" for item, often in counted.items()]
    refused = rules.count(Missing.REFUSE)
    none = f" {count(refused, 'predictor')} may not be missing." if refused else ""
    return (
        f"By a rule declared for each feature, learnt in the training part of each fold: {'; '.join(said)}.{none} "
        "Nobody was left out for a missing predictor beyond the declared rules."
    )


def _cell(one: Handled) -> str:
    text = f"{one.done} ({one.because})" if one.because else one.done
    return text if one.folds == one.of else f"{text}; so in {one.folds} of {one.of} folds"


def _shares(members: list[tuple[str, float]]) -> str:
    low, high = (f"{100 * edge([share for _, share in members]):.1f}%" for edge in (min, max))
    return low if low == high else f"{low} to {high}"
