"""The table behind the forest plot of a question: the difference to the base overall, by subgroup and by site."""

import pandas as pd

from relapse.added_value.evidence import AddedValue, Answer, FamilyEvidence
from relapse.added_value.questions import Role
from relapse.evaluation.statistics.results import PairedTest

#: How the ways of adding a block are called.
WAY_WORDS = {Role.SCORE: "block's score added", Role.JOINT: "one model of all"}

#: How the kinds of groups are called, in their order.
GROUP_WORDS = {
    "everybody": "Everybody",
    "subgroup": "Subgroups",
    "site": "Sites, each seen in training",
    "left out": "Sites, each left out of training",
}


def forest_frame(found: AddedValue, answer: Answer, labels: dict[str, str]) -> pd.DataFrame:
    """Differences of the ranking metric, base with block minus base.

    Everybody stands there once a family and way; groups are those of the leading family, with the block's score added.

    Parameters
    ----------
    labels
        Subgroup columns in words.

    Returns
    -------
    DataFrame
        ``kind`` (a key of :data:`GROUP_WORDS`), ``label``, ``patients`` and ``with_event`` (patients), ``base`` (the
        base's own metric), ``difference`` with 95% interval ``lower`` and ``upper``, ``p``; figures are NaN where a
        group is too small.
    """
    records: list[tuple[object, ...]] = []
    for item in answer.families:
        base = item.model(Role.BASE).metrics[found.primary].value
        for way in item.additions:
            label = f"{item.title}, {WAY_WORDS[way.role]}"
            size = found.patients, found.patients_with_event
            records.append(("everybody", label, *size, base, *_figures(way.test)))
    records += _groups(answer.leading, labels)
    columns = ["kind", "label", "patients", "with_event", "base", "difference", "lower", "upper", "p"]
    return pd.DataFrame(records, columns=columns)


def _figures(test: PairedTest) -> tuple[float, float, float, float]:
    return test.difference, test.lower, test.upper, test.p


def _groups(item: FamilyEvidence, labels: dict[str, str]) -> list[tuple[object, ...]]:
    found = []
    for group in item.addition(Role.SCORE).groups:
        label = f"{labels.get(group.column, group.column)}: {group.level}" if group.column else group.level
        figures = _figures(group.test) if group.test else (float("nan"),) * 4
        base = group.base.value if group.base else float("nan")
        found.append((group.kind, label, group.patients, group.patients_with_event, base, *figures))
    order = list(GROUP_WORDS)
    return sorted(found, key=lambda record: order.index(str(record[0])))
