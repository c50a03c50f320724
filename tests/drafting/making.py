"""A drawn clinic table, and the many ways in which people hand such a table over. No row is a patient's."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

PATIENTS = 160


def clinic(seed: int = 7) -> pd.DataFrame:
    """160 patients, a row each, with relapse and months to it; tumour size with one decimal."""
    rng = np.random.default_rng(seed)
    risk = rng.normal(size=PATIENTS)
    relapse = (risk + rng.logistic(size=PATIENTS) > 0.6).astype(int)
    months = np.where(relapse, rng.uniform(3, 70, PATIENTS), rng.uniform(40, 110, PATIENTS)).round(1)
    return pd.DataFrame(
        {
            "patient_id": [f"K{place:04d}" for place in rng.permutation(PATIENTS) + 1000],
            "age": rng.integers(31, 84, PATIENTS),
            "size_mm": np.exp(3 + 0.3 * risk + 0.3 * rng.normal(size=PATIENTS)).round(1),
            "nodes": rng.poisson(2, PATIENTS),
            "grade": rng.choice(["G1", "G2", "G3"], PATIENTS, p=[0.3, 0.4, 0.3]),
            "er": rng.choice(["negative", "positive"], PATIENTS),
            "chemo": rng.choice(["no", "yes"], PATIENTS),
            "relapse": np.where(relapse, "yes", "no"),
            "rfs_months": months,
        }
    )


def dated(seed: int = 7) -> pd.DataFrame:
    """The same with dates: of birth, of diagnosis, of a relapse or none, of the last visit."""
    table, rng = clinic(seed), np.random.default_rng(seed + 1)
    diagnosis = pd.Timestamp("2009-01-01") + pd.to_timedelta(rng.integers(0, 1500, PATIENTS), unit="D")
    end = diagnosis + pd.to_timedelta((30.44 * table["rfs_months"]).round(), unit="D")
    relapsed = table["relapse"].eq("yes")
    last = end.where(~relapsed, end + pd.to_timedelta(rng.integers(10, 400, PATIENTS), unit="D"))
    dates = {
        "date_of_birth": diagnosis - pd.to_timedelta((365.25 * table["age"]).astype(int) + 100, unit="D"),
        "date_of_diagnosis": diagnosis,
        "date_of_relapse": pd.Series(end).where(relapsed),
        "last_seen": last,
    }
    return table.drop(columns=["age", "relapse", "rfs_months"]).assign(**dates)


def text(table: pd.DataFrame, separator: str = ",", decimal: str = ".") -> str:
    """A table as CSV."""
    return table.to_csv(index=False, sep=separator, decimal=decimal, lineterminator="\n")


def workbook(sheets: dict[str, list[list[object]]], path: Path, merged: tuple[str, ...] = ()) -> Path:
    """Write a workbook of sheets of rows; ``merged`` are ranges of the first sheet, such as ``B1:D1``."""
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    for cells in merged:
        book.worksheets[0].merge_cells(cells)
    book.save(path)
    return path


def rows_of(table: pd.DataFrame) -> list[list[object]]:
    """The rows of a table as cells of a sheet, dates as dates."""
    return [[None if pd.isna(cell) else cell for cell in row] for row in table.astype(object).to_numpy().tolist()]


def two_headers(path: Path) -> Path:
    """A spreadsheet as clinics have it: a title, two header rows with merged cells, dates, words for missing, a note."""
    table = dated()
    order = [
        "patient_id",
        "date_of_birth",
        "date_of_diagnosis",
        "size_mm",
        "nodes",
        "grade",
        "er",
        "chemo",
        "date_of_relapse",
        "last_seen",
    ]
    body = rows_of(table[order])
    for place in (4, 40, 77):
        body[place][3] = "NC"
    upper = ["Patient", None, None, "Tumour", None, None, None, "Treatment", "Follow-up", None]
    lower = [
        "ID",
        "Date of birth",
        "Date of diagnosis",
        "Size (mm)",
        "Nodes",
        "Grade",
        "ER",
        "Chemotherapy",
        "Date of relapse",
        "Last seen",
    ]
    rows: list[list[object]] = [["Breast clinic, drawn values"], upper, lower, *body, ["as of the last audit, drawn"]]
    return workbook({"Patients": rows, "Legend": [["NC", "not collected"]]}, path, merged=("A2:C2", "D2:G2", "I2:J2"))


@dataclass(frozen=True)
class Odd:
    """A table as it was handed over, by file name, and what has to come of it.

    ``refused`` is a regular expression of the one message; else the declaration is written and holds the regular
    expressions of ``said``; ``waits`` says that it cannot be used before a TODO is answered.
    """

    name: str
    file: str
    data: bytes | Callable[[Path], object]
    said: tuple[str, ...] = ()
    refused: str = ""
    waits: str = ""
    options: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """Whether the file is odd, or its columns are."""
        odd_columns = (
            "words for",
            "for missing",
            "codes",
            "outcome",
            "time",
            "death",
            "patient",
            "hospital",
            "text",
            "columns",
            "spellings",
            "names",
            "numbers",
            "plain",
        )
        return "columns" if self.file == "clinic.csv" and any(word in self.name for word in odd_columns) else "file"


def _frame(
    suffix: str, write: Callable[[pd.DataFrame, Path], object], table: pd.DataFrame | None = None
) -> tuple[str, Callable[[Path], object]]:
    return f"clinic{suffix}", lambda path: write(clinic() if table is None else table, path)


def _sav(table: pd.DataFrame, path: Path) -> None:
    import pyreadstat

    coded = table.assign(er=table["er"].eq("positive").astype(float), nodes=table["nodes"].astype(float))
    coded.loc[3, "nodes"] = 999.0
    labels = {"er": {0.0: "negative", 1.0: "positive"}, "nodes": {999.0: "unknown"}}
    pyreadstat.write_sav(coded, str(path), variable_value_labels=labels, column_labels={"er": "Oestrogen receptor"})


def odd_tables() -> list[Odd]:
    """Every variant by name."""
    good, lines = clinic(), text(clinic()).splitlines()
    changed = good.copy()
    found = [
        Odd(
            "plain",
            "clinic.csv",
            text(good).encode(),
            (
                r"event: relapse",
                r"time: rfs_months\n  unit: month",
                r"patient: patient_id",
                r"chemo: .*known: after",
                r"size_mm: \{type: continuous, unit: mm, range",
                r"grade: \{type: ordinal, levels: \[G1, G2, G3\]\}",
                r'values: \{"no": 0, "yes": 1\}',
                r"reference: \[size_mm, nodes, grade, er\]",
            ),
        ),
        Odd(
            "semicolons and decimal commas",
            "clinic.csv",
            text(good, ";", ",").encode(),
            (r'separator: ";"', r'decimal: ","'),
        ),
        Odd(
            "outcome that is a metastasis",
            "clinic.csv",
            text(good.rename(columns={"relapse": "Distant metastasis"})).encode(),
            (r"event: Distant metastasis", r"time: rfs_months"),
        ),
        Odd("tabs", "clinic.tsv", text(good, "\t").encode(), (r'separator: "\\t"',)),
        Odd("upright strokes", "clinic.txt", text(good, "|").encode(), (r'separator: "\|"',)),
        Odd("gzipped", "clinic.csv.gz", gzip.compress(text(good).encode()), (r"csv: data/raw/clinic\.csv\.gz",)),
        Odd("utf-8 with a mark", "clinic.csv", text(good).encode("utf-8-sig"), (r"patient: patient_id",)),
        Odd(
            "windows-1252",
            "clinic.csv",
            text(good.rename(columns={"size_mm": "Größe Durchmesser mm"})).encode("cp1252"),
            (r"encoding: windows-125", r"TODO encoding:", "column: .Größe"),
        ),
        Odd("utf-16", "clinic.csv", text(good).encode("utf-16"), (r"encoding: utf-16",)),
        Odd(
            "utf-16 without a mark",
            "clinic.csv",
            text(good).encode("utf-16-le"),
            (r"encoding: utf-16-le", r"TODO encoding"),
        ),
        Odd(
            "a title above",
            "clinic.csv",
            ("Our clinic\n" + text(good)).encode(),
            (r"header: 2", r"TODO header: 1 line\(s\) above"),
        ),
        Odd("comments above", "clinic.csv", ("# drawn\n# twice\n" + text(good)).encode(), (r'comment: "#"',)),
        Odd(
            "units in a second line",
            "clinic.csv",
            "\n".join([lines[0], ",years,mm,,,,,,months", *lines[1:]]).encode(),
            (r"data: 3", r"TODO data: 1 line\(s\) between"),
        ),
        Odd(
            "a note below",
            "clinic.csv",
            (text(good) + "as of the last audit" + "," * 8 + "\n").encode(),
            (r"footer: 1", r"TODO footer"),
        ),
        Odd(
            "rows that end early",
            "clinic.csv",
            "\n".join(
                [
                    lines[0],
                    *(line.rsplit(",", 1)[0] if place in (4, 9) else line for place, line in enumerate(lines[1:])),
                ]
            ).encode(),
            (r"ragged: true", r"TODO ragged"),
        ),
        Odd(
            "words for missing",
            "clinic.csv",
            text(
                changed.assign(
                    size_mm=changed["size_mm"].astype(object).where(changed.index % 9 > 0, "NC"),
                    er=changed["er"].where(changed.index % 7 > 0, "unknown"),
                )
            ).encode(),
            (
                r"missing: \[\{size_mm: \[NC\]\}, \{er: \[unknown\]\}\]",
                r"size_mm: .*max_missing: 0\.1",
                r"TODO unknown is taken to mean missing",
            ),
        ),
        Odd(
            "999 for missing",
            "clinic.csv",
            text(good.assign(nodes=good["nodes"].where(good.index % 11 > 0, 999))).encode(),
            (
                r"missing: \[\{nodes: \[.?999.?\]\}\]",
                r"TODO 999 stands apart",
                r"nodes: \{type: count, range: \[0, \d{1,2}\], max_missing",
            ),
        ),
        Odd(
            "minus one for missing",
            "clinic.csv",
            text(good.assign(nodes=good["nodes"].where(good.index % 11 > 0, -1))).encode(),
            (r"\{nodes: \[-1\]\}",),
        ),
        Odd(
            "codes 1 and 2",
            "clinic.csv",
            text(good.assign(relapse=good["relapse"].eq("yes") + 1)).encode(),
            (r"values: \{1: 0, 2: 1\}", r"TODO 2 is taken for the event"),
        ),
        Odd(
            "portal codes",
            "clinic.csv",
            text(
                good.assign(relapse=good["relapse"].map({"no": "0:DiseaseFree", "yes": "1:Recurred"})).rename(
                    columns={"relapse": "RFS_STATUS", "rfs_months": "RFS_MONTHS"}
                )
            ).encode(),
            (r'values: \{"0:DiseaseFree": 0, "1:Recurred": 1\}', r"time: RFS_MONTHS"),
        ),
        Odd(
            "words of an outcome that nobody knows",
            "clinic.csv",
            text(good.assign(relapse=good["relapse"].map({"no": "blue", "yes": "green"}))).encode(),
            (r"values: \{blue: TODO, green: TODO\}",),
            waits=r"endpoint\.values\.blue: still TODO",
        ),
        Odd(
            "no outcome",
            "clinic.csv",
            text(good.drop(columns=["relapse", "rfs_months"])).encode(),
            (r"event: TODO", r"TODO no column looks like an outcome"),
            waits=r"endpoint\.event: still TODO",
        ),
        Odd("no time", "clinic.csv", text(good.drop(columns="rfs_months")).encode(), (r"kind: binary",)),
        Odd(
            "death only",
            "clinic.csv",
            text(good.rename(columns={"relapse": "death", "rfs_months": "os_months"})).encode(),
            (r"TODO its name speaks of death, which is no relapse", r"event: death"),
        ),
        Odd(
            "relapse and death",
            "clinic.csv",
            text(
                good.assign(death=np.where(good.index % 5 == 0, "yes", "no"), os_months=good["rfs_months"] + 5)
            ).encode(),
            (
                r"event: relapse\n",
                r"TODO death \(time: os_months\) is a competing event",
                r"# also: \[\{event: death, time: os_months\}\]",
                r"#   os_months: another event, or its time",
                r"#   death: another event, or its time",
            ),
        ),
        Odd(
            "several rows a patient",
            "clinic.csv",
            text(pd.concat([good, good.assign(size_mm=good["size_mm"] + 1)])).encode(),
            (r"TODO 160 rows are further ones of a patient",),
        ),
        Odd(
            "no patient",
            "clinic.csv",
            text(good.drop(columns="patient_id")).encode(),
            (r"TODO no column names the patient", r"patient: null"),
        ),
        Odd(
            "hospitals",
            "clinic.csv",
            text(good.assign(hospital=np.resize(["north", "south"], PATIENTS))).encode(),
            (r"site: hospital", r"TODO a hospital or scanner"),
        ),
        Odd(
            "free text",
            "clinic.csv",
            text(good.assign(remarks=[f"seen by doctor {place}" for place in range(PATIENTS)])).encode(),
            (r"#   remarks: free text",),
        ),
        Odd(
            "empty and constant columns",
            "clinic.csv",
            text(good.assign(void="", sex="f")).encode(),
            (r"#   void: empty", r"#   sex: one value only"),
        ),
        Odd(
            "spellings",
            "clinic.csv",
            text(good.assign(er=good["er"].where(good.index % 9 > 0, good["er"].str.upper()))).encode(),
            (r"er: \{type: nominal, levels: \{.*NEGATIVE: negative", r"TODO spellings of one word"),
        ),
        Odd(
            "odd names",
            "clinic.csv",
            text(good.rename(columns={"size_mm": "Tumour size [mm] (US)", "nodes": "risk nodes #"})).encode(),
            (
                r'Tumour_size_mm_US: \{type: continuous, unit: mm, .*column: "Tumour size \[mm\] \(US\)"',
                r"f_risk_nodes: ",
            ),
        ),
        Odd(
            "many numbers of one kind",
            "clinic.csv",
            text(
                good.assign(
                    **{f"gene_{place}": np.random.default_rng(place).normal(size=PATIENTS) for place in range(30)}
                )
            ).encode(),
            (r'"gene_\*": \{type: continuous, block: measured\}', r"measured: \{title"),
        ),
        Odd(
            "no header",
            "clinic.csv",
            "\n".join(lines[1:]).encode(),
            (r"columns: \[column_1, column_2", r"TODO columns: the file has no header"),
            waits=r"endpoint\.event: still TODO",
        ),
        Odd(
            "dates",
            "clinic.csv",
            text(dated()).encode(),
            (
                r"event: date_of_relapse\n  event_form: date\n  from: date_of_diagnosis\n  to: last_seen\n  unit: month",
                r"age: \{type: continuous, from: date_of_birth, to: date_of_diagnosis, unit: years",
            ),
        ),
        Odd(
            "dates, day first",
            "clinic.csv",
            dated().to_csv(index=False, date_format="%d.%m.%Y").encode(),
            (r"dates: dmy", r"from: date_of_diagnosis"),
        ),
        Odd(
            "parquet",
            *_frame(".parquet", lambda table, path: table.to_parquet(path)),
            said=(r"parquet: data/raw/clinic\.parquet", r"event: relapse"),
        ),
        Odd(
            "SPSS",
            *_frame(".sav", _sav),
            said=(
                r"spss: data/raw/clinic\.sav",
                r"er: \{type: nominal, levels: \[negative, positive\], label: Oestrogen receptor\}",
                r"\{nodes: \[999\]\}",
            ),
        ),
        Odd(
            "Stata",
            *_frame(".dta", lambda table, path: table.to_stata(path, write_index=False)),
            said=(r"stata: data/raw/clinic\.dta", r"event: relapse"),
        ),
        Odd(
            "a sheet of two header rows and dates",
            "clinic.xlsx",
            two_headers,
            (
                r"excel: data/raw/clinic\.xlsx\n  sheet: Patients\n  header: \[2, 3\]\n  footer: 1",
                r"TODO sheet: .*Legend",
                r"Tumour / Size \(mm\)",
                r"from: .?Patient / Date of diagnosis",
                r"missing: \[\{.?Tumour / Size \(mm\).?: \[NC\]\}\]",
            ),
        ),
        Odd("an empty file", "clinic.csv", b"", refused=r"the file is empty"),
        Odd("blank lines only", "clinic.csv", b"\n\n \n", refused=r"the file is empty"),
        Odd("a header alone", "clinic.csv", (lines[0] + "\n").encode(), refused=r"no rows of data"),
        Odd("one column", "clinic.csv", b"relapse\nyes\nno\nyes\n", refused=r"one column only"),
        Odd(
            "a name twice",
            "clinic.csv",
            text(good).replace("nodes", "age", 1).encode(),
            refused=r"column name more than once: age \(columns 2, 4\)",
        ),
        Odd(
            "more cells than names",
            "clinic.csv",
            "\n".join([lines[0].rsplit(",", 1)[0], *lines[1:]]).encode(),
            refused=r"more cells than there are columns",
        ),
        Odd("a workbook called csv", "clinic.csv", b"PK\x03\x04" + bytes(200), refused=r"looks like an Excel workbook"),
        Odd("text called xlsx", "clinic.xlsx", text(good).encode(), refused=r"not readable as an Excel workbook"),
        Odd("text called sav", "clinic.sav", text(good).encode(), refused=r"not readable as a file of SPSS"),
        Odd("text called parquet", "clinic.parquet", text(good).encode(), refused=r"not readable as parquet"),
        Odd("a picture", "clinic.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, refused=r"looks like a picture"),
        Odd("bytes", "clinic.csv", bytes(range(256)) * 40, refused=r"signs that no text does"),
        Odd(
            "an old workbook",
            "clinic.xls",
            b"\xd0\xcf\x11\xe0" + bytes(100),
            refused=r"no kind of table that is read.*old Excel workbook",
        ),
        Odd(
            "cut off while gzipped",
            "clinic.csv.gz",
            gzip.compress(text(good).encode())[:-20],
            refused=r"cut off or damaged",
        ),
        Odd(
            "an open quote",
            "clinic.csv",
            text(good).replace("G1", '"G1', 1).encode(),
            refused=r"a quote that is not closed|more cells|fewer cells",
        ),
        Odd(
            "an outcome that is not there",
            "clinic.csv",
            text(good).encode(),
            options=("--outcome", "rezidiv"),
            refused=r"outcome: no column 'rezidiv'\. There are: patient_id",
        ),
        Odd(
            "a time that is words",
            "clinic.csv",
            text(good).encode(),
            options=("--time", "grade"),
            refused=r"time: grade is no column of numbers",
        ),
        Odd(
            "a unit that is none",
            "clinic.csv",
            text(good).encode(),
            options=("--unit", "fortnight"),
            refused=r"unit: 'fortnight' is none of day, week",
        ),
        Odd(
            "a sheet that is not there",
            "clinic.xlsx",
            two_headers,
            options=("--sheet", "Data"),
            refused=r"no sheet 'Data'\. It has: Patients, Legend",
        ),
        Odd(
            "a reference that is none",
            "clinic.csv",
            text(good).encode(),
            options=("--reference", "size_mm, stage"),
            refused=r"reference: no feature 'stage'",
        ),
        Odd(
            "an outcome of many values",
            "clinic.csv",
            text(good).encode(),
            options=("--outcome", "size_mm"),
            refused=r"size_mm holds no code of two sides",
        ),
        Odd(
            "nothing but the outcome",
            "clinic.csv",
            text(good[["patient_id", "relapse"]]).encode(),
            refused=r"no column is left that could be a feature",
        ),
    ]
    days = (30 * good["rfs_months"]).round()
    as_a_day = good.drop(columns=["relapse", "rfs_months"]).assign(
        days_to_recurrence=days.where(good["relapse"].eq("yes"), 0), days_to_follow_up=days + 9
    )
    found.append(
        Odd(
            "the outcome as a day",
            "clinic.csv",
            text(as_a_day).encode(),
            (
                r"event: days_to_recurrence\n  event_form: day\n  time: days_to_follow_up\n  unit: day\n  horizons: \[3 y, 5 y\]",
                r"TODO event_form",
            ),
        )
    )
    return found
