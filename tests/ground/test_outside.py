"""What goes wrong outside of the program is one line: what, where, what to do; nothing is left half-written."""

import os
import shutil
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psycopg
import pytest
import requests

from relapse.ground.console import readable_errors
from relapse.ground.files import append_whole, write_csv, write_parquet
from relapse.ground.outside import outside
from tests.room import FULL, room_for


def _said(capsys: pytest.CaptureFixture[str]) -> str:
    found = capsys.readouterr().err
    assert found.startswith("error: ")
    assert found.count("\n") == 1
    return found


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_what_does_not_fit_leaves_the_old_file_and_names_the_one_that_was_to_be(
    write: Callable[[Path, pd.DataFrame], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x"
    write(path, pd.DataFrame({"a": ["old"]}))
    before = path.read_bytes()
    with pytest.raises(SystemExit) as stopped, room_for(5000), readable_errors():
        write(path, pd.DataFrame({"a": [os.urandom(100_000).hex()]}))
    assert stopped.value.code == 1
    assert _said(capsys).startswith(f"error: {path}: File too large. Make room there, then run the same again")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_does_not_fit_is_one_line_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    (here / "large").write_bytes(os.urandom(100_000))
    with pytest.raises(SystemExit), room_for(5000), readable_errors():
        shutil.copytree(here, there)
    assert _said(capsys).startswith(
        f"error: {there / 'large'}: File too large. Make room there, then run the same again"
    )
    assert outside(shutil.Error("a folder is moved into itself")) is None
    assert outside(shutil.Error([("a", "b", "is a named pipe")])) is None


def test_lines_are_appended_all_or_none(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\n")
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    with room_for(6), pytest.raises(OSError, match=FULL):
        append_whole(descriptor, b"two\nthree\n")
    assert path.read_bytes() == b"one\n"
    append_whole(descriptor, b"two\n")
    os.close(descriptor)
    assert path.read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("half", [b"", b"ha", b"x" * (3 << 20)])
@pytest.mark.parametrize("before", [b"", b"one\n", b"one\n\ntwo\n"])
def test_half_a_line_of_a_killed_writer_is_taken_off_before_the_next(
    tmp_path: Path, before: bytes, half: bytes
) -> None:
    path = tmp_path / "lines"
    path.write_bytes(before + half)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    append_whole(descriptor, b"next\n")
    os.close(descriptor)
    assert path.read_bytes() == before + b"next\n"


def test_a_full_and_a_readonly_database_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as database:
        database.execute("create table x (y text)")
        database.execute("pragma max_page_count = 3")
        with pytest.raises(sqlite3.OperationalError) as full:
            database.execute("insert into x values (?)", ["x" * 100_000])
    database.close()
    assert (outside(full.value) or "").startswith("SQLite: database or disk is full. Make room there, then")
    closed = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as readonly:
        closed.execute("insert into x values ('y')")
    closed.close()
    assert "may be written into" in (outside(readonly.value) or "")


def test_a_lost_server_is_told_without_a_password_however_a_library_wraps_it() -> None:
    port = _closed_port()
    with pytest.raises(psycopg.OperationalError) as gone:
        psycopg.connect(f"postgresql://me:secret@127.0.0.1:{port}/x", connect_timeout=2)
    wrapped = RuntimeError("a library's own words")
    wrapped.__cause__ = gone.value
    said = outside(wrapped) or ""
    assert "refused" in said
    assert "secret" not in said
    assert "See that it runs and can be reached, then run the same again" in said
    with pytest.raises(requests.ConnectionError) as lost:
        requests.get(f"http://me:secret@127.0.0.1:{port}/path", timeout=2)
    assert (outside(lost.value) or "").startswith(f"http://127.0.0.1:{port} does not answer. See that it runs")


@pytest.mark.parametrize(
    "error", [KeyError("x"), FileNotFoundError(2, "no such file", "x"), sqlite3.OperationalError("no such table: x")]
)
def test_anything_else_is_a_bug_and_shows(error: Exception) -> None:
    with pytest.raises(type(error)), readable_errors():
        raise error
