"""A data base in PostgreSQL is asked by one query and never written to, and its password is told nowhere."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psycopg
import pytest

from relapse.cohorts.catalogue import to_yaml
from relapse.cohorts.declared.source import SqlSource
from relapse.cohorts.sources import describe, read_source
from relapse.ground.errors import SourceError
from tests import postgres
from tests.cohorts.test_databases import CREATE, CSV_SOURCE, WRITING, asked, taken_in

pytestmark = pytest.mark.slow

#: As a password is not meant to be, so that what is not quoted breaks the address.
PASSWORD = "p@ss/w:rd%41 ü"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="module")
def theirs(server: str) -> str:
    """The URL of a filled database, of a user whom a password lets in, without the password."""
    url = postgres.create(server, "clinic").replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(CREATE)
        connection.execute(f"create role reader login password '{PASSWORD}'")
        # The reader may write, were the source not only read.
        connection.execute("grant all on all tables in schema public to reader")
        connection.execute("grant all on schema public to reader")
        (rules,) = connection.execute("show hba_file").fetchone() or ("",)
        path = Path(rules)
        path.write_text(f"host all reader 127.0.0.1/32 scram-sha-256\n{path.read_text()}")
        connection.execute("select pg_reload_conf()")
    return url.replace("postgres@", "reader:${RELAPSE_TEST_PASSWORD}@")


@pytest.fixture
def let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAPSE_TEST_PASSWORD", PASSWORD)


def _contents(theirs: str, server: str) -> list[tuple[object, ...]]:
    with psycopg.connect(f"{server.replace('+psycopg', '')}/clinic") as connection:
        return connection.execute("select * from patients order by id").fetchall()


def test_postgresql_gives_the_same_table_and_the_password_stays_a_variable(
    theirs: str, let_in: None, declare: Callable[..., Path]
) -> None:
    from_file = taken_in(declare())
    found = taken_in(declare((CSV_SOURCE, asked(theirs))))
    pd.testing.assert_frame_equal(found.table, from_file.table)
    resolved = to_yaml(found.cohort)
    assert "${RELAPSE_TEST_PASSWORD}" in resolved
    for kept in (resolved, str(found.flow.to_json()), describe(found.cohort.source_of("size"))):
        assert PASSWORD not in kept
        assert "p%40ss" not in kept


def test_the_whole_address_may_be_one_variable(
    theirs: str, let_in: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from urllib.parse import quote

    whole = theirs.replace("${RELAPSE_TEST_PASSWORD}", quote(PASSWORD, safe=""))
    monkeypatch.setenv("RELAPSE_TEST_DB", whole)
    table = read_source(SqlSource(sql="${RELAPSE_TEST_DB}", query="select * from patients"), root=tmp_path)
    assert len(table) == 4
    monkeypatch.setenv("RELAPSE_TEST_DB", whole.replace("@127.0.0.1:", "@127.0.0.1:no"))
    with pytest.raises(SourceError) as refused:
        read_source(SqlSource(sql="${RELAPSE_TEST_DB}", query="select * from patients"), root=tmp_path)
    assert "p%40ss" not in str(refused.value)
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize(
    "query",
    [
        *WRITING,
        "set transaction read write",
        "set session characteristics as transaction read write; delete from patients",
        "do $$ begin delete from patients; end $$",
        "do $$ begin commit; set transaction read write; delete from patients; end $$",
        "select set_config('transaction_read_only', 'off', false), nextval('numbers')",
    ],
)
def test_postgresql_is_not_written_to(query: str, theirs: str, server: str, let_in: None, tmp_path: Path) -> None:
    before = _contents(theirs, server)
    with pytest.raises(SourceError, match=r"`select`|Nothing was changed"):
        read_source(SqlSource(sql=theirs, query=query), root=tmp_path)
    assert _contents(theirs, server) == before


def test_what_postgresql_lets_a_reading_transaction_do_is_taken_back(
    theirs: str, server: str, let_in: None, tmp_path: Path
) -> None:
    assert len(read_source(SqlSource(sql=theirs, query="select 1 as one, pg_notify('a', 'b')"), root=tmp_path)) == 1
    # From version 16 on it is refused.
    with suppress(SourceError):
        read_source(SqlSource(sql=theirs, query="select lo_create(0)"), root=tmp_path)
    with psycopg.connect(f"{server.replace('+psycopg', '')}/clinic") as connection:
        assert connection.execute("select count(*) from pg_largeobject_metadata").fetchone() == (0,)


def test_the_query_that_is_refused_would_have_written(theirs: str, server: str, let_in: None) -> None:
    """The tests above can fail: the same user deletes where nothing stands in the way."""
    url = theirs.replace("${RELAPSE_TEST_PASSWORD}@", "@")
    with psycopg.connect(url, password=PASSWORD) as connection:
        assert len(connection.execute("with x as (delete from patients returning *) select * from x").fetchall()) == 4
        connection.rollback()


def test_values_of_postgresql_become_numbers_dates_text_and_missing(theirs: str, let_in: None, tmp_path: Path) -> None:
    query = (
        "select 1.50::numeric as n, true as yes, null::boolean as unknown, date '2009-05-31' as day, "
        "timestamptz '2009-05-31 12:00+00' as at, 'x%y' as word, 9007199254740993::bigint as long, "
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid as id union all "
        "select null, false, null, null, null, '', 1, null order by long desc"
    )
    table = read_source(SqlSource(sql=theirs, query=query), root=tmp_path)
    first = table.iloc[0]
    assert (first["n"], first["yes"], first["word"], first["long"]) == (1.5, 1.0, "x%y", "9007199254740993")
    assert table["yes"].tolist() == [1.0, 0.0]
    assert pd.api.types.is_datetime64_any_dtype(table["day"])
    assert (str(first["day"].date()), str(first["at"].date())) == ("2009-05-31", "2009-05-31")
    assert table["id"].isna().tolist() == [False, True]
    assert table[["n", "day", "at", "word"]].isna().iloc[1].all()


@pytest.mark.parametrize(
    ("change", "query", "message"),
    [
        (("RELAPSE_TEST_PASSWORD", "wrong-one"), "select 1", "the server refuses the user or the password"),
        (("/clinic", "/nothing"), "select 1", "the server has no such data base"),
        (
            ("127.0.0.1:", "127.0.0.1:1"),
            "select 1",
            "no answer from the data base .*Look whether host and port are right",
        ),
        (None, "select * from nobody", r'\(relation "nobody" does not exist\)'),
        (None, "select nothing from patients", r'\(column "nothing" does not exist\)'),
        (None, "select * from patients where false", "the answer to the query has no rows"),
        (None, "select id::integer from patients", r"InvalidTextRepresentation, 22P02\)"),
    ],
)
def test_what_postgresql_refuses_is_said_without_password_and_values(
    change: tuple[str, str] | None, query: str, message: str, theirs: str, let_in: None,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    url, (old, new) = theirs, change or ("", "")
    if old == "RELAPSE_TEST_PASSWORD":
        monkeypatch.setenv(old, new)
    elif old == "127.0.0.1:":
        # A port on which nobody listens.
        url = theirs.rpartition(":")[0] + ":1/clinic"
    elif old:
        url = theirs.replace(old, new)
    with pytest.raises(SourceError, match=message) as refused:
        read_source(SqlSource(sql=url, query=query), root=tmp_path)
    for secret in (PASSWORD, "wrong-one", "p%40ss", "'a'", '"a"'):
        assert secret not in str(refused.value)
    assert refused.value.__cause__ is None
