"""A data base is asked by one query and never written to; here an SQLite file, and what any declaration has to keep."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from relapse.cohorts.catalogue import read_cohort, to_yaml
from relapse.cohorts.declared.source import SqlSource
from relapse.cohorts.sources import fingerprint, read_source
from relapse.cohorts.table import Ingested, ingest
from relapse.ground.errors import DeclarationError, SourceError
from relapse.quality.gate import check

CREATE = """
create table patients (id text, relapse text, size real, nodes integer, grade text, mol_subtype integer);
insert into patients values ('a', 'N', 10, 0, 'I', 0), ('b', 'R', 20.5, null, 'II', 1), ('c', 'N', 12, 3, 'III', 1),
  ('d', 'R', 33, 1, 'II', 0);
"""
CSV_SOURCE = "source: {csv: mine.csv}"
WRITING = [
    "delete from patients",
    "with gone as (delete from patients returning *) select * from gone",
    "drop table patients",
    "update patients set size = 1",
    "insert into patients (id) values ('z')",
    "create table other (id text)",
    "select 1; delete from patients",
    "commit; delete from patients",
    "rollback; begin; delete from patients; commit",
]


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    path = tmp_path / "clinic.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(CREATE)
    return path


def taken_in(path: Path) -> Ingested:
    return ingest(read_cohort(path), root=path.parent)


def asked(sql: str, query: str = "select * from patients order by id") -> str:
    return f'source: {{sql: "{sql}", query: "{query}"}}'


def test_an_answer_is_the_same_table_as_a_file_of_it(clinic: Path, declare: Callable[..., Path]) -> None:
    from_file = taken_in(declare())
    from_answer = taken_in(declare((CSV_SOURCE, asked("sqlite:///clinic.db"))))
    pd.testing.assert_frame_equal(from_answer.table, from_file.table)
    assert from_answer.flow.source == "sqlite:///clinic.db"
    assert from_answer.flow.fingerprint.startswith("sha256:")
    assert check(from_answer.table, from_answer.cohort).verdicts


def test_the_fingerprint_is_that_of_the_rows_and_no_other(clinic: Path, tmp_path: Path) -> None:
    source = SqlSource(sql="sqlite:///clinic.db", query="select * from patients")
    before = fingerprint(source, root=tmp_path)
    assert before == fingerprint(SqlSource(sql=f"sqlite:///{clinic}", query="select * from patients"), root=Path())
    with closing(sqlite3.connect(clinic)) as connection, connection:
        connection.execute("vacuum")
        connection.execute("create table unrelated (x)")
    assert fingerprint(source, root=tmp_path) == before
    with closing(sqlite3.connect(clinic)) as connection, connection:
        connection.execute("update patients set size = 11 where id = 'a'")
    assert fingerprint(source, root=tmp_path) != before


def test_rows_without_an_order_are_sorted_and_an_asked_order_is_kept(clinic: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(clinic)) as connection, connection:
        connection.execute(
            "insert into patients select '0', relapse, size, nodes, grade, 0 from patients where id = 'a'"
        )

    def ids(query: str) -> list[str]:
        return read_source(SqlSource(sql="sqlite:///clinic.db", query=query), root=tmp_path)["id"].tolist()

    assert ids("select id, size from patients") == ["0", "a", "b", "c", "d"]
    assert ids("select id, size from patients\nORDER  BY id desc") == ["d", "c", "b", "a", "0"]


@pytest.mark.parametrize("query", WRITING)
def test_sqlite_is_not_written_to(query: str, clinic: Path, tmp_path: Path) -> None:
    before = clinic.read_bytes()
    with pytest.raises(
        SourceError, match=r"^sqlite:///clinic.db: the (query|data base) .*(`select`|not carr|carry out)"
    ):
        read_source(SqlSource(sql="sqlite:///clinic.db", query=query), root=tmp_path)
    assert clinic.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["clinic.db"]


@pytest.mark.parametrize(
    "query", ["attach database 'other.db' as other", "pragma query_only = off", "pragma writable_schema = on"]
)
def test_sqlite_does_nothing_but_select(
    query: str, clinic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match="the query does more than read, and was refused"):
        read_source(SqlSource(sql="sqlite:///clinic.db", query=query), root=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["clinic.db"]


def test_values_of_sqlite_become_numbers_text_and_missing(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "t.db")) as connection:
        connection.executescript(
            "create table t (a, b, c, d, e);"
            "insert into t values (1, 1.5, ' NC ', 12345678901234567, null), (null, 2, '', 2, null), (3, '4', 'x', 3, null);"
        )
    source = SqlSource(
        sql="sqlite:///t.db", query="select a, b, c, d, e, a as 'two  words' from t order by rowid", missing=("NC",)
    )
    table = read_source(source, root=tmp_path)
    assert list(table.columns) == ["a", "b", "c", "d", "e", "two words"]
    assert table["a"].tolist()[::2] == [1, 3]
    assert table["b"].tolist() == ["1.5", "2", "4"]
    assert table["c"].isna().tolist() == [True, True, False]
    assert table["d"].tolist() == ["12345678901234567", "2", "3"]
    assert table["e"].isna().all()
    assert table["a"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("sql", "query", "message"),
    [
        ("sqlite:///nowhere.db", "select 1", "sqlite:///nowhere.db: no such file. Nothing is created"),
        ("sqlite:///clinic.db", "select * from nobody", r"does not carry out the query \(no such table: nobody\)"),
        ("sqlite:///clinic.db", "select smoker from patients", r"\(no such column: smoker\)"),
        ("sqlite:///clinic.db", "selct 1", r"\(near .selct.: syntax error\)"),
        ("sqlite:///clinic.db", "select * from patients where id = 'x'", "the answer to the query has no rows"),
        ("sqlite:///clinic.db", "select id, id from patients", "column name more than once in the answer: id"),
        ("sqlite:///clinic.db", "select x'00ff' as film", "column film holds bytes"),
        ("sqlite:///clinic.db", "-- nothing", "gives no table|more than read"),
        ("sqlite:///text.db", "select * from t", "this file is no SQLite data base"),
        ("${RELAPSE_TEST_DB}", "select 1", r"\$\{RELAPSE_TEST_DB\}: environment variable RELAPSE_TEST_DB is not set. Set it to the address.*had from: the clinic"),
        ("postgresql://u:${RELAPSE_TEST_PW}@h/d", "select 1", "RELAPSE_TEST_PW is not set. Set it to the part of"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_message(sql: str, query: str, message: str, clinic: Path, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("id,size\n" * 2000)
    with pytest.raises(SourceError, match=message):
        read_source(SqlSource(sql=sql, query=query, obtain="the clinic's office"), root=tmp_path)
    assert not (tmp_path / "nowhere.db").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('{sql: "sqlite:///a.db"}', r"source\.sql\.query: this key is required and missing"),
        ('{sql: "sqlite:///a.db", query: " ; "}', "no query. Give one select"),
        ('{sql: "mysql://h/d", query: select 1}', "expected the address of a data base: postgresql://"),
        ('{sql: "sqlite://", query: select 1}', "expected the address of a data base: postgresql://"),
        ('{sql: "postgresql://me:hidden@h/d", query: select 1}', "a password stands in the address. Put it into a variable"),
        ('{sql: "postgresql://me:hid@den@h/d", query: select 1}', "a password stands in the address. Put it into a variable"),
        ('{sql: "postgresql://me:hidden${X}@h/d", query: select 1}', "a password stands in the address. Put it into a variable"),
        ('{sql: "postgresql://h/d?user=me&password=hidden", query: select 1}', "a password stands in the address"),
        ('{sql: "postgresql://me:hidden@h/d", query: select 1, querry: select 2}', "querry: unknown key"),
    ],
)  # fmt: skip
def test_a_declaration_without_a_query_or_with_a_password_is_refused(
    source: str, message: str, declare: Callable[..., Path]
) -> None:
    with pytest.raises(DeclarationError, match=message) as refused:
        read_cohort(declare((CSV_SOURCE, f"source: {source}")))
    assert "hid" not in str(refused.value)


def test_no_column_of_the_answer_being_a_declared_one_is_said(clinic: Path, declare: Callable[..., Path]) -> None:
    with pytest.raises(SourceError, match=r"is in the answer to the query, which has: a, b\. Name each in the query"):
        taken_in(declare((CSV_SOURCE, asked("sqlite:///clinic.db", "select 1 as a, 2 as b"))))


def test_a_query_is_one_of_several_sources(clinic: Path, tmp_path: Path, declare: Callable[..., Path]) -> None:
    (tmp_path / "who.csv").write_text("id;relapse\na;N\nb;R\nc;N\nq;R\n")
    query = "select id as pid, size, nodes, grade, mol_subtype from patients"
    sources = (
        'sources:\n  who: {csv: who.csv, separator: ";", key: id}\n'
        f'  clinic: {{sql: "sqlite:///clinic.db", query: "{query}", key: pid}}'
    )
    found = taken_in(declare((CSV_SOURCE, sources)))
    assert found.table["size"].tolist() == [10, 20.5, 12]
    assert [str(item) for item in found.flow.joined] == [
        "clinic (sqlite:///clinic.db): 3 patients matched; 1 not in it (left out); 1 only in it"
    ]
    assert found.flow.fingerprint.count("sha256:") == 2
    (tmp_path / "cohort.yaml").write_text(to_yaml(found.cohort))
    assert read_cohort(tmp_path / "cohort.yaml") == found.cohort


def test_without_its_driver_postgresql_is_not_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(SourceError, match=r"psycopg, is not installed. Install relapse\[postgres\]"):
        read_source(SqlSource(sql="postgresql://h/d", query="select 1"), root=tmp_path)
