"""Which rule a feature's missing values are under, and which columns of a matrix say that a value was missing."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from relapse.cohorts.declared.features import Feature, Missing
from relapse.cohorts.declared.groups import Group

if TYPE_CHECKING:
    from relapse.cohorts.schema import Cohort


def rule(cohort: "Cohort", name: str) -> Missing:
    """The rule of one feature: its own, else the cohort's, else ``median``; ``refuse`` where nothing may be missing."""
    feature = cohort.features[name]
    if not feature.max_missing:
        return Missing.REFUSE
    return feature.missing or cohort.missing or Missing.MEDIAN


def indicated(cohort: "Cohort", names: Iterable[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The features among ``names`` that get a column saying that they were missing, and by block those that share one.

    Numbers of a block that may be reduced share one: hundreds of columns beside the few that the block becomes would
    undo its reduction. Features under ``native`` count, as they do for every family but trees.
    """
    said = [name for name in names if rule(cohort, name) in (Missing.INDICATOR, Missing.NATIVE)]
    reduced = {name: cohort.features[name].block for name in cohort.numeric(said)}
    shared: dict[str, list[str]] = {}
    for name, block in reduced.items():
        if block in cohort.reducible:
            shared.setdefault(block, []).append(name)
    together = {name for members in shared.values() for name in members}
    return [name for name in said if name not in together], shared


def check_default(missing: Missing | None, declared: Collection[Feature | Group]) -> None:
    """Hold a cohort's own rule against its features; raises ``ValueError``."""
    if missing is Missing.REFUSE:
        raise ValueError(
            "missing: refuse is what happens wherever a feature has no max_missing. Name another rule for those that "
            "have one, or take missing out."
        )
    if missing is not None and not any(item.max_missing for item in declared):
        raise ValueError(
            f"missing: {missing} is for features that may be missing, and none has max_missing. Give it there, or take "
            "missing out."
        )
