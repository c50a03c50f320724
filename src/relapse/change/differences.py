"""Every difference between two states, by kind: what was, what is; no value of a patient."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from relapse.change.kept import Kept, column_digests, in_order
from relapse.change.plan import Kind
from relapse.change.states import State
from relapse.params import flat

if TYPE_CHECKING:
    import pandas as pd

#: Keys of a declaration by the kind of change that they stand for; a key that is not here is one of features.
_DECLARED = {
    "title": Kind.DESCRIPTION,
    "licence": Kind.DESCRIPTION,
    "citation": Kind.DESCRIPTION,
    "tripod": Kind.DESCRIPTION,
    "validates": Kind.DESCRIPTION,
    "source": Kind.SOURCE,
    "sources": Kind.SOURCE,
    "simulated": Kind.SOURCE,
    "patient": Kind.POPULATION,
    "view": Kind.POPULATION,
    "site": Kind.POPULATION,
    "exclusions": Kind.POPULATION,
    "endpoint": Kind.ENDPOINT,
    "reference": Kind.POLICY,
    "subgroups": Kind.POLICY,
    "silence": Kind.POLICY,
    "imbalance": Kind.PROTOCOL,
}

#: The same of keys of a single feature.
_OF_A_FEATURE = {
    "label": Kind.DESCRIPTION,
    "description": Kind.DESCRIPTION,
    "range": Kind.DATA_RULES,
    "max_missing": Kind.DATA_RULES,
}

#: Sections of ``params.yaml``. Those that shape neither a model nor a decision (audit, explain, the budget's name) are
#: not looked at.
_SETTINGS = {
    "seed": Kind.RETUNING,
    "train": Kind.RETUNING,
    "split": Kind.PROTOCOL,
    "evaluate": Kind.PROTOCOL,
    "added_value": Kind.PROTOCOL,
    "candidates": Kind.PROTOCOL,
    "register": Kind.POLICY,
}

_UNKNOWN = "not recorded"

#: Files of the code that are named one by one.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs. ``grown`` is, of appended data, the share of the patients there were."""

    kind: Kind
    what: str
    before: str
    now: str
    grown: float | None = None


def differences(before: State, now: State, table: "pd.DataFrame") -> tuple[Difference, ...]:
    """What differs between the state behind the champion and that of ``now``, whose canonical table is ``table``.

    What was not recorded of the champion counts as another than it is now: nobody can say that it is the same.
    """
    return (
        *_data(before, now, table),
        *_declaration(before.declaration, now.declaration),
        *_settings(before.params, now.params or {}),
        *_model(before, now),
        *_made_with(before.kept, now.kept, before.packages, now.packages),
    )


def _data(before: State, now: State, table: "pd.DataFrame") -> Iterator[Difference]:
    for name in dict.fromkeys([*before.sources, *now.sources]):
        was, is_ = before.sources.get(name, "none"), now.sources.get(name, "none")
        if was != is_:
            yield Difference(Kind.SOURCE, f"source {name}".rstrip(), was, is_)
    if before.table_hash == now.table_hash:
        return
    old, new = _keys(before.rows), _keys(table)
    gone = len(old.difference(new))
    if gone:
        yield Difference(Kind.DATA, "rows", f"{len(old)} rows", f"{gone} of them are not there any more")
    elif before.kept is None:
        yield Difference(Kind.DATA, "rows", "digests of columns: not recorded", "another table")
    else:
        shared = in_order(table)[new_in(table, old)].reset_index(drop=True)
        digests = column_digests(shared)
        # A column that only one of the two has is a feature that came or went, which the declaration tells.
        changed = [name for name in digests if before.kept.columns.get(name, digests[name]) != digests[name]]
        if changed:
            yield Difference(Kind.DATA, "values", f"{len(old)} rows", f"other values in {', '.join(changed)}")
    if more := len(new.difference(old)):
        patients = int(before.rows["patient"].nunique())
        added = int(table["patient"].nunique()) - patients
        yield Difference(
            Kind.DATA_APPENDED,
            "rows",
            f"{len(old)} rows of {patients} patients",
            f"{more} rows more, {added} patients more",
            grown=max(added, 0) / patients if patients else None,
        )


def _keys(table: "pd.DataFrame") -> "pd.MultiIndex":
    import pandas as pd

    ordered = in_order(table[["row", "patient"]])
    return pd.MultiIndex.from_arrays([ordered["patient"].astype(str), ordered.groupby("patient").cumcount()])


def new_in(table: "pd.DataFrame", old: "pd.MultiIndex") -> Any:
    """Which rows of a table, in order, are those of ``old``: a mask (n,)."""
    return _keys(table).isin(old)


def _declaration(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    for key in dict.fromkeys([*before, *now]):
        was, is_ = before.get(key), now.get(key)
        if was == is_:
            continue
        if key == "features":
            yield from _features(was or {}, is_ or {})
            continue
        kind = _DECLARED.get(key, Kind.FEATURES)
        for name, (one, other) in _flat_differences({key: was}, {key: is_}).items():
            yield Difference(kind, name, one, other)


def _features(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    for name in dict.fromkeys([*before, *now]):
        if name not in before or name not in now:
            there = "declared", "not there"
            yield Difference(Kind.FEATURES, f"features.{name}", *(there if name in before else there[::-1]))
            continue
        # What is learnt from the data moves with them, and is no rule that somebody wrote.
        learnt = bool(before[name].get("learnt") and now[name].get("learnt"))
        for key, (was, is_) in _flat_differences(before[name], now[name]).items():
            top = key.split(".")[0]
            if not (learnt and top == "range"):
                yield Difference(_OF_A_FEATURE.get(top, Kind.FEATURES), f"features.{name}.{key}", was, is_)


def _settings(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> Iterator[Difference]:
    if before is None:
        yield Difference(Kind.POLICY, "params.yaml", _UNKNOWN, "as it is")
        return
    for section, kind in _SETTINGS.items():
        found = _flat_differences({section: before.get(section)}, {section: now.get(section)})
        for name, (was, is_) in found.items():
            yield Difference(kind, name, was, is_)


def _model(before: State, now: State) -> Iterator[Difference]:
    if now.candidate and before.candidate != now.candidate:
        yield Difference(Kind.FAMILY, "candidate", before.candidate, now.candidate)
        return
    was, is_ = (state.kept.hyperparameters if state.kept else None for state in (before, now))
    if was is not None and is_ is not None and now.candidate and was != is_:
        for name, (one, other) in _flat_differences(was, is_).items():
            yield Difference(Kind.RETUNING, f"hyperparameters.{name}", one, other)


def of_update(
    before: Kept | None,
    now: Kept,
    *,
    packages: tuple[Mapping[str, str], Mapping[str, str]],
    params: tuple[Mapping[str, Any] | None, Mapping[str, Any]],
) -> tuple[Difference, ...]:
    """What differs beside the numbers of an update, which trains nothing: code, packages, plan, and the policy.

    Parameters
    ----------
    packages, params
        Of the champion, and now.
    """
    policy = (item for item in _settings(*params) if item.kind is Kind.POLICY)
    return (*policy, *_made_with(before, now, *packages))


def _made_with(
    before: Kept | None, now: Kept | None, packages: Mapping[str, str], installed: Mapping[str, str]
) -> Iterator[Difference]:
    was, is_ = (kept.code if kept else {} for kept in (before, now))
    if not was:
        yield Difference(Kind.CODE, "code", _UNKNOWN, f"{len(is_)} files")
    else:
        changed = [name for name in dict.fromkeys([*was, *is_]) if was.get(name) != is_.get(name)]
        if changed:
            rest = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
            yield Difference(Kind.CODE, "code", f"{len(was)} files", f"other: {', '.join(changed[:_NAMED])}{rest}")
    for name, number in packages.items():
        if (found := installed.get(name, "not installed")) != number:
            yield Difference(Kind.PACKAGES, name, number, found)
    if before and now and before.plan != now.plan:
        yield Difference(Kind.PLAN, "change_plan.yaml", before.plan or "none", now.plan or "none")


def _flat_differences(before: Any, now: Any) -> dict[str, tuple[str, str]]:
    was, is_ = flat(before), flat(now)
    names = [name for name in dict.fromkeys([*was, *is_]) if was.get(name) != is_.get(name)]
    return {name: (was.get(name, "not there"), is_.get(name, "not there")) for name in names}
