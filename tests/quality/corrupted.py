"""One good table of an invented study, and some hundred ways in which such a table or its declaration goes wrong.

Each variant holds the files as a hospital would hand them over, whether the table may still go on (a warning) or not,
and words that the message has to hold: the cause, the place, the remedy. Words are regular expressions.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

PATIENTS, TWO = 200, 40
MARK = "MARKED"  # a cell that no message may repeat
NUMBER = 987654.25

DECLARATION = """\
name: fjord
title: Fjord study of early breast cancer (invented)
source: {csv: fjord.csv}
licence: none
citation: none
patient: pat_id
view: breast
site: clinic
endpoint:
  kind: survival
  event: relapsed
  values: {no: 0, yes: 1}
  time: fu_months
  unit: month
  horizons: [2 y, 4 y]
features:
  age: {type: count, column: age_dx, unit: years, range: [18, 100]}
  diameter: {type: continuous, column: diam, unit: mm, range: [2, 200]}
  ki67: {type: continuous, unit: "%", range: [0, 100], max_missing: 0.5}
  nodes: {type: count, column: n_pos, range: [0, 60]}
  bmi: {type: continuous, range: [12, 60]}
  grading: {type: ordinal, levels: [G1, G2, G3]}
  histology: {type: nominal, column: histo, levels: {1: ductal, 2: lobular, 3: other}}
  pcr: {type: nominal, levels: [no, yes], known: after}
reference: [diameter, nodes]
subgroups: [grading]
"""


@dataclass(frozen=True)
class Variant:
    """``files`` by name, whether the check ``stops``, and the ``words`` of its message."""

    name: str
    files: dict[str, bytes]
    stops: bool
    words: tuple[str, ...]


def good(seed: int = 20270101) -> pd.DataFrame:
    """The table as it should be: 240 rows of 200 patients, 40 of them with both breasts, at three clinics."""
    rng = np.random.default_rng(seed)
    patient = np.sort(np.concatenate([np.arange(PATIENTS), rng.choice(PATIENTS, TWO, replace=False)]))
    second = np.r_[False, patient[1:] == patient[:-1]]
    rows = len(patient)
    severity = rng.normal(size=PATIENTS)
    diameter = np.exp(3.1 + 0.4 * (0.5 * severity[patient] + 0.87 * rng.normal(size=rows)))
    relapse = severity + rng.logistic(size=PATIENTS) > 0.8
    months = np.where(relapse, rng.uniform(3, 70, PATIENTS), rng.uniform(30, 110, PATIENTS)).round(1)
    return pd.DataFrame(
        {
            "pat_id": [f"FJ{1000 + 7 * number}" for number in patient],
            "breast": np.where(second, "R", "L"),
            "clinic": rng.choice(["Aurland", "Bergen", "Odda"], PATIENTS)[patient],
            "age_dx": rng.normal(58, 11, PATIENTS).clip(25, 92).round().astype(int)[patient],
            "diam": diameter.clip(3, 150).round(2),
            "ki67": rng.gamma(2, 11, rows).clip(1, 95).round(1),
            "n_pos": rng.poisson(np.exp(0.3 + 0.4 * severity))[patient],
            "bmi": rng.normal(26, 4, PATIENTS).clip(16, 45).round(1)[patient],
            "grading": np.array(["G1", "G2", "G3"])[np.digitize(severity + rng.normal(size=PATIENTS), [-1, 0.8])][patient],
            "histo": rng.choice([1, 2, 3], PATIENTS, p=[0.7, 0.2, 0.1])[patient],
            "pcr": np.where(rng.random(PATIENTS) < 0.3, "yes", "no")[patient],
            "relapsed": np.where(relapse, "yes", "no")[patient],
            "fu_months": months[patient],
        }
    )  # fmt: skip


def variants() -> list[Variant]:
    """All variants; names are unique."""
    found = [*_reading(), *_declared(), *_values(), *_rows(), *_features(), *_outcome()]
    assert len({variant.name for variant in found}) == len(found)
    return found


def csv(table: pd.DataFrame, **how: object) -> bytes:
    """The table as the bytes of a CSV file."""
    return table.to_csv(index=False, **how).encode()  # type: ignore[call-overload]


def _of(name: str, change: Callable[[pd.DataFrame], object], *words: str, stops: bool = True) -> Variant:
    """A variant whose table is changed, in place or by giving another."""
    table = good().astype(object)
    changed = change(table)
    table = changed if isinstance(changed, pd.DataFrame) else table
    return Variant(name, {"fjord.yaml": DECLARATION.encode(), "fjord.csv": csv(table)}, stops, words)


def _bytes(name: str, data: bytes | None, *words: str, stops: bool = True) -> Variant:
    """A variant whose CSV file is given as it is, or is not there."""
    files = {"fjord.yaml": DECLARATION.encode()} | ({} if data is None else {"fjord.csv": data})
    return Variant(name, files, stops, words)


def _yaml(name: str, old: str, new: str, *words: str, stops: bool = True, data: bytes | None = None) -> Variant:
    """A variant whose declaration is changed in one place."""
    assert DECLARATION.count(old) >= 1, old
    text = DECLARATION.replace(old, new, 1)
    return Variant(name, {"fjord.yaml": text.encode(), "fjord.csv": data or csv(good())}, stops, words)


def _workbook(table: pd.DataFrame, *, title: str | None = None) -> bytes:
    stream = io.BytesIO()
    with pd.ExcelWriter(stream) as writer:
        table.to_excel(writer, sheet_name="Data", index=False, startrow=1 if title else 0)
        if title:
            writer.sheets["Data"].cell(1, 1, title)
    return stream.getvalue()


def _reading() -> Iterator[Variant]:
    table, text = good(), csv(good()).decode()
    excel = ("{csv: fjord.csv}", "{excel: fjord.xlsx, sheet: Data}")
    header, *lines = text.splitlines()

    def workbook(name: str, new: str, data: bytes, *words: str) -> Variant:
        declaration = DECLARATION.replace(excel[0], new, 1)
        return Variant(name, {"fjord.yaml": declaration.encode(), "fjord.xlsx": data}, True, words)

    yield _bytes("no file", None, "fjord.csv", "no such file")
    yield _bytes("empty file", b"", "fjord.csv", "empty", "header")
    yield _bytes("header alone", (header + "\n").encode(), "fjord.csv", "no rows")
    yield _bytes("semicolons", csv(table, sep=";"), "fjord.csv", "separator")
    yield _bytes("tabs", csv(table, sep="\t"), "fjord.csv", "separator")
    yield _bytes("semicolons and decimal commas", csv(table, sep=";", decimal=","), "fjord.csv", "separator")
    yield _yaml("decimal commas", "{csv: fjord.csv}", '{csv: fjord.csv, separator: ";"}', "diam", "comma|number",
                data=csv(table, sep=";", decimal=","))  # fmt: skip
    yield _of("thousands separated", lambda t: t.update({"diam": t["diam"].map("1 {}".format)}), "diam", "number")
    yield _bytes("UTF-16", text.encode("utf-16"), "fjord.csv", "encoding")
    accented = table.rename(columns={"histo": "histo_é"})
    yield _bytes("Latin-1", csv(accented).decode().encode("latin-1"), "fjord.csv", "encoding")
    yield _bytes("a workbook named csv", _workbook(table), "fjord.csv", "CSV|Excel|workbook")
    yield _bytes("a column twice", text.replace("bmi", "age_dx", 1).encode(), "age_dx", "more than once|twice")
    yield _bytes(
        "a title above the header", b"Export of the fjord registry\n" + text.encode(), "fjord.csv", "header|column"
    )
    longer = [line + ",x" if number == 5 else line for number, line in enumerate(lines)]
    yield _bytes("a row too long", "\n".join([header, *longer]).encode(), "fjord.csv", "more cells")
    shorter = [line.rsplit(",", 4)[0] if number == 5 else line for number, line in enumerate(lines)]
    yield _bytes("a row cut off", "\n".join([header, *shorter]).encode(), "row|fewer")
    yield _bytes("a quote left open", text.replace("FJ1000", '"FJ1000', 1).encode(), "fjord.csv", "quote|cells|rows")
    yield _bytes("no header line", "\n".join(lines).encode(), "fjord.csv", "header|column missing", "columns|column")
    yield _of("the header in the middle", lambda t: pd.concat([t, pd.DataFrame([t.columns], columns=t.columns)]),
              "diam", "number|header", "241")  # fmt: skip
    yield _of("a row of totals", lambda t: pd.concat([t, pd.DataFrame({"pat_id": ["Total"], "age_dx": [58]})]),
              "1 excluded", "no outcome recorded", stops=False)  # fmt: skip
    yield workbook("no such sheet", "{excel: fjord.xlsx, sheet: Tabelle1}", _workbook(table), "Tabelle1", "Data")
    yield workbook("a title above the header of a sheet", excel[1], _workbook(table, title="Export of the registry"),
                   "fjord.xlsx", "`header: 2`")  # fmt: skip
    yield workbook("a CSV named xlsx", excel[1], text.encode(), "fjord.xlsx", "not readable as an Excel workbook")
    yield _of("a column renamed", lambda t: t.rename(columns={"diam": "diameter_mm"}), r"diam \(feature diameter\)",
              "column")  # fmt: skip


def _declared() -> Iterator[Variant]:
    yield _yaml("an unknown key", "licence: none", "license: none", "fjord.yaml", "license", "unknown key")
    yield _yaml("a key missing", "citation: none\n", "", "fjord.yaml", "citation", "required")
    yield _yaml("not YAML", "features:", "features: [", "fjord.yaml", "not readable as YAML")
    yield _yaml("a key twice", "view: breast", "view: breast\nview: breast", "fjord.yaml", "YAML|duplicate")
    yield _yaml("another name than the file", "name: fjord", "name: lake", "fjord.yaml", "lake", "file")
    yield _yaml("a range turned round", "range: [18, 100]", "range: [100, 18]", "age", "lower end comes first")
    yield _yaml("one level", "levels: [G1, G2, G3]", "levels: [G1]", "grading", "two")
    yield _yaml("an unknown type", "{type: ordinal", "{type: ordered", "grading", "ordinal")
    yield _yaml("a reserved name", "  bmi:", "  time:", "time", "name")
    yield _yaml("a reference that is no feature", "[diameter, nodes]", "[diameter, stage]", "reference", "stage")
    yield _yaml("a reference known later", "[diameter, nodes]", "[diameter, pcr]", "reference", "pcr", "baseline")
    yield _yaml("a subgroup of numbers", "subgroups: [grading]", "subgroups: [bmi]", "subgroups", "bmi")
    yield _yaml("an unknown unit of time", "unit: month", "unit: months", "unit", "month")
    yield _yaml("a horizon without unit", "[2 y, 4 y]", "[2, 4]", "horizon", "unit")
    yield _yaml("horizons turned round", "[2 y, 4 y]", "[4 y, 2 y]", "horizons", "rising")
    yield _yaml("a view without patient", "patient: pat_id\n", "", "view", "patient")
    yield _yaml("SMOTE for a time to event", "reference:", "imbalance: smotenc\nreference:", "imbalance", "none")
    yield _yaml(
        "an environment variable not set", "fjord.csv", '"${NO_SUCH_FOLDER}/fjord.csv"', "NO_SUCH_FOLDER", "not set"
    )
    yield _yaml(
        "event codes not those of the file", "{no: 0, yes: 1}", "{0: 0, 1: 1}", "event|relapsed", "codes|one of"
    )


def _values() -> Iterator[Variant]:
    yield _of("text in a number", lambda t: _set(t, 6, "diam", MARK), "diameter", "number", "row 7")
    yield _of(
        "a number out of range", lambda t: _set(t, 6, "diam", NUMBER), "diameter", "between 2 and 200 mm", "row 7"
    )
    yield _of("a negative age", lambda t: _set(t, 6, "age_dx", -44), "age", "between 18 and 100", "row 7")
    yield _of("half a node", lambda t: _set(t, 6, "n_pos", 1.5), "nodes", "whole number", "row 7")
    yield _of("an unknown level", lambda t: _set(t, 6, "grading", MARK), "grading", "levels G1, G2, G3", "row 7")
    yield _of("a level in another case", lambda t: _set(t, 6, "grading", "g2"), "grading", "levels G1, G2, G3", "row 7")
    yield _of("a question mark for missing", lambda t: _set(t, 6, "diam", "?"), "diameter", "number|missing", "row 7")
    yield _of("999 for missing", lambda t: _set(t, slice(5, 9), "bmi", 999), "bmi", "between 12 and 60", "row 6")
    yield _of("values missing", lambda t: _set(t, slice(5, 9), "bmi", None), "bmi", "no missing values", "row 6")
    yield _of("a column all empty", lambda t: _set(t, slice(None), "bmi", None), "bmi", "missing")
    yield _of(
        "more missing than declared", lambda t: _set(t, slice(0, 160), "ki67", None), "ki67", "at most 50% missing"
    )
    yield _of("a patient without a name", lambda t: _set(t, 6, "pat_id", None), "patient", "names its patient", "row 7")
    yield _of("a row without a clinic", lambda t: _set(t, 6, "clinic", None), "site", "names its site", "row 7")
    yield _of("a row without a view", lambda t: _set(t, 6, "breast", None), "view", "names its view", "row 7")
    yield _of("a range in a cell", lambda t: _set(t, 6, "diam", "10-15"), "diameter", "number", "row 7")
    yield _of("a unit in the cells", lambda t: _set(t, slice(None), "diam", t["diam"].map("{} mm".format)), "diameter",
              "number")  # fmt: skip
    yield _of("a date in a number", lambda t: _set(t, 6, "age_dx", "1958-03-12"), "age", "number", "row 7")


def _rows() -> Iterator[Variant]:
    yield _of("rows twice", lambda t: pd.concat([t, t.iloc[:20]]), "R002", "patient and the view", "delete", "241, 242")
    yield _yaml("rows twice, no view declared", "view: breast\n", "", "R001", "same patient", "Delete", "`view`", "241",
                data=csv(pd.concat([good(), good().iloc[:20]])))  # fmt: skip
    yield _yaml("views not declared but all different", "view: breast\n", "", "all .* rules kept", stops=False)
    yield _of("rows under new names", lambda t: pd.concat([t, _renamed(t.iloc[:20])]), "L002", "different patients",
              "delete")  # fmt: skip
    yield _of("rows under new names, one value changed", lambda t: pd.concat([t, _renamed(t.iloc[:8], age_dx=77)]),
              "R003", "all but age", "data rows", "delete", stops=False)  # fmt: skip
    yield _of("names written in two ways", lambda t: _set(t, _second(t)[:5], "pat_id", _lower), "R005", "case",
              "one way", stops=False)  # fmt: skip
    yield _of("a patient at two clinics", lambda t: _set(t, _second(t)[0], "clinic", "Voss"), "R004", "pat_id", "clinic",
              stops=False)  # fmt: skip
    yield _of("a patient with two outcomes", lambda t: _set(t, _second(t)[:4], "fu_months", 12.5), "L003", "time",
              "correct", stops=False)  # fmt: skip


def _features() -> Iterator[Variant]:
    rng = np.random.default_rng(3)
    wrong = rng.random(PATIENTS + TWO) < 0.04

    def half(t: pd.DataFrame) -> pd.DataFrame:
        return _set(t, t.index[::2], "diam", (t["diam"].astype(float) / 10).round(2))

    yield _of("half in cm", half, "F008", "diameter", "factor of 10", "convert")
    yield _yaml("half in cm, within the range", "range: [2, 200]", "range: [0.1, 200]", "F008", "diameter", "factor of 10",
                "convert", stops=False, data=csv(half(good().astype(object))))  # fmt: skip
    yield _yaml("a clinic in cm", "range: [2, 200]", "range: [0.1, 200]", "F008", "clinic", "about 10 times", stops=False,
                data=csv(_set(good().astype(object), good()["clinic"] == "Odda", "diam",
                              (good()["diam"] / 10).round(2))))  # fmt: skip
    yield _of("all in another unit", lambda t: _set(t, slice(None), "diam", t["diam"].astype(float) * 10), "diameter",
              "between 2 and 200")  # fmt: skip
    yield _of("a known outcome as a feature", lambda t: _set(t, slice(None), "ki67", np.where(t["relapsed"] == "yes",
              60.5, 20.5)), "L001", "ki67", "known: after")  # fmt: skip
    yield _of("a copy of the outcome with mistakes", lambda t: _set(t, slice(None), "histo",
              np.where((t["relapsed"] == "yes") ^ wrong, 2, 1)), "L005", "histology", "known: after",
              stops=False)  # fmt: skip
    yield _of("missing where the event happened", lambda t: _set(t, t["relapsed"] == "yes", "ki67", None), "F001", "ki67",
              "known: after", stops=False)  # fmt: skip
    yield _of("not measured at one clinic", lambda t: _set(t, t["clinic"] == "Odda", "ki67", None), "F002", "ki67", "Odda",
              stops=False)  # fmt: skip
    yield _yaml("a running number", "range: [0, 60]", "range: [0, 9999]", "F003", "nodes", "leave it out", stops=False,
                data=csv(good().assign(n_pos=pd.factorize(good()["pat_id"])[0] + 1)))  # fmt: skip
    yield _of("one quantity twice", lambda t: _set(t, slice(None), "ki67", 100 - t["bmi"].astype(float)), "F004", "bmi",
              "leave one", stops=False)  # fmt: skip
    yield _of("one value", lambda t: _set(t, slice(None), "bmi", 25), "L004", "bmi", "leave it out", stops=False)
    yield _of(
        "one value but for two rows", lambda t: _set(t, t.index[2:], "bmi", 25), "F006", "bmi", "1, 2", stops=False
    )
    yield _of("one value where the event happened", lambda t: _set(t, t["relapsed"] == "yes", "grading", "G2"), "F005",
              "grading", "known: after", stops=False)  # fmt: skip
    yield _of("a level of one patient", lambda t: _set(t, slice(None), "histo", np.where(t.index == 0, 3,
              np.where(t["histo"] == 3, 2, t["histo"]))), "F007", "histology", "levels", stops=False)  # fmt: skip


def _outcome() -> Iterator[Variant]:
    yield _of(
        "no event at all", lambda t: _set(t, slice(None), "relapsed", "no"), "event", "with and without the event"
    )
    yield _of(
        "an event of a third kind", lambda t: _set(t, 6, "relapsed", MARK), "event", "one of no=0, yes=1", "row 7"
    )
    yield _of("a time of zero", lambda t: _set(t, 6, "fu_months", 0), "time", "more than 0 months", "row 7")
    yield _of("a negative time", lambda t: _set(t, 6, "fu_months", -3), "time", "more than 0 months", "row 7")
    yield _of("a time in words", lambda t: _set(t, 6, "fu_months", MARK), "time", "number", "row 7")
    yield _of("dates for times", lambda t: _set(t, slice(None), "fu_months", "2024-05-01"), "time", "number")
    yield _of("outcomes missing", lambda t: _set(t, slice(0, 9), "relapsed", None), "no outcome recorded", "9",
              stops=False)  # fmt: skip
    yield _yaml("days declared as months", "unit: month", "unit: month", "time|fu_months", "is `unit: month` right",
                data=csv(good().assign(fu_months=(good()["fu_months"] * 30.4).round())))  # fmt: skip
    yield _yaml("months declared as days", "unit: month", "unit: day", "O003 time: horizon 2 y", "is `unit: day` right")
    yield _yaml(
        "a horizon beyond follow-up",
        "[2 y, 4 y]",
        "[2 y, 12 y]",
        "O003 time: horizon 12 y",
        "declare horizons that the follow-up reaches",
    )
    yield _of("six events", lambda t: _set(t, t["relapsed"].eq("yes") & (np.cumsum(t["relapsed"].eq("yes")) > 6),
              "relapsed", "no"), "O005 event", "at least 5 patients", "bring more")  # fmt: skip
    yield _yaml("the time as a feature", "  bmi:", "  follow_up: {type: continuous, column: fu_months, range: [0, 200]}\n  bmi:",
                "follow_up", "fu_months.* belongs to the endpoint", "Take the feature out")  # fmt: skip
    yield _of("the time as a feature under another name", lambda t: t.update({"ki67": (t["fu_months"] / 12).round(1)}),
              "O001 ki67", "known: after")  # fmt: skip
    yield _yaml("the event as a feature", "  bmi:", "  status: {type: nominal, column: relapsed, levels: [no, yes]}\n  bmi:",
                "status", "relapsed.* belongs to the endpoint", "Take the feature out")  # fmt: skip


def _set(table: pd.DataFrame, rows: object, column: str, value: object) -> pd.DataFrame:
    """Put a value, a column of values, or a function of the old ones into some rows."""
    old = table.loc[rows, column] if not isinstance(rows, slice) else table[column].iloc[rows]  # type: ignore[index]
    if callable(value):
        value = old.map(value)
    if isinstance(value, np.ndarray):
        value = pd.Series(value, index=table.index)
    where = old.index if isinstance(old, pd.Series) else rows
    table.loc[where, column] = value.loc[where] if isinstance(value, pd.Series) else value  # type: ignore[index]
    return table


def _second(table: pd.DataFrame) -> list[int]:
    return table.index[table["pat_id"].duplicated()].tolist()


def _lower(name: object) -> str:
    return str(name).lower().replace("fj", "fj-")


def _renamed(part: pd.DataFrame, **changed: object) -> pd.DataFrame:
    return part.assign(pat_id="Z" + part["pat_id"].astype(str), **changed)
