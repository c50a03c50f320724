"""Folds that leave one site out: every site is predicted by models that have seen none of its patients."""

from dataclasses import dataclass

import pandas as pd

from relapse.cohorts.size import MIN_EACH, counts

#: What sites too small to be measured alone are called together.
OTHERS = "other sites"


@dataclass(frozen=True, slots=True)
class Sites:
    """The sites of a table, by the number of the fold that leaves each out; ``folds`` as training takes them.

    A patient seen at several sites belongs to the one of her first row. Sites of fewer than
    :data:`~relapse.cohorts.size.MIN_EACH` patients with or without the event are left out together.
    """

    names: tuple[str, ...]
    folds: pd.DataFrame


def left_out_sites(table: pd.DataFrame) -> Sites | None:
    """Folds that leave one site out; None where the table has fewer than two sites that can be left out."""
    site = table.groupby("patient", observed=True)["site"].transform("first").astype(str)
    large = [str(name) for name, part in table.groupby(site, sort=True) if name and counts(part).fewer >= MIN_EACH]
    names = (*large, OTHERS) if len(large) < site.nunique() else tuple(large)
    if len(large) < 2:
        return None
    number = {name: place for place, name in enumerate(names)}
    fold = site.map(lambda name: number.get(name, len(large)))
    return Sites(names, pd.DataFrame({"row": table["row"].to_numpy(), "repeat": 0, "fold": fold.to_numpy()}))
