"""A project comes back from its archive byte by byte, elsewhere too; what is damaged or in the way changes nothing."""

import os
import shutil
import sqlite3
import threading
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from relapse.serving.audit_log import AuditLog, verify
from relapse.upkeep.archive import MANIFEST
from tests.drafting.running import run
from tests.upkeep.conftest import COHORT, MODEL, served

KEY = b"a key of sixteen"


def _bytes(root: Path) -> dict[str, bytes]:
    """Every file but locks, by its name."""
    files = [path for path in root.rglob("*") if path.is_file() and not path.name.endswith(".lock")]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def _dump(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return list(connection.iterdump())


@pytest.fixture
def archive(project: Path, tmp_path: Path) -> Path:
    """An archive of the project."""
    path = tmp_path / "kept.zip"
    assert run("project", "backup", str(path)) == 0
    return path


def test_after_everything_was_lost_every_byte_comes_back_but_tables_and_what_is_made_again(
    project: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _bytes(project)
    rows = _dump(project / "mlruns" / "mlflow.db")
    for path in project.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert run("project", "restore", str(archive)) == 0
    now = _bytes(project)
    assert set(before) - set(now) == {"data/raw/mine.csv", f"results/package/{COHORT}/relapse-{COHORT}.bento"}
    database = "mlruns/mlflow.db"
    assert {name: now[name] for name in now if name != database} == {
        name: before[name] for name in now if name != database
    }
    # SQLite's copy has another count of changes in its header.
    assert _dump(project / database) == rows
    assert os.stat(project / "mlruns" / "moves" / COHORT / "0001.json").st_mode & 0o777 == 0o444
    assert served(project, monkeypatch) == MODEL


def test_on_another_machine_the_registry_names_the_files_that_were_put_back(
    project: Path, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(project)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert run("project", "restore", str(archive)) == 0
    assert f"below {project} are now named below {elsewhere}" in capsys.readouterr().out
    assert served(elsewhere, monkeypatch) == MODEL


def test_a_registry_that_is_here_is_only_replaced_when_asked_and_kept_aside(
    project: Path, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "params.yaml").write_text("seed: 1\n")
    before = _bytes(project)
    assert run("project", "restore", str(archive)) == 1
    assert "would be overwritten: mlruns, params.yaml. Nothing was changed" in capsys.readouterr().err
    assert _bytes(project) == before
    assert run("project", "restore", str(archive), "--replace") == 0
    (aside,) = project.glob("replaced-*")
    assert (aside / "params.yaml").read_text() == "seed: 1\n"
    assert (aside / "mlruns" / "mlflow.db").is_file()
    assert {path.name for path in aside.iterdir()} == {"mlruns", "params.yaml"}, "what was the same was kept, too"
    assert (project / "params.yaml").read_text() != "seed: 1\n"


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def _flip(path: Path) -> None:
    """One bit of the file's compressed data, where the zip file itself notices only when it is read."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as opened:
        item = max(opened.infolist(), key=lambda item: item.compress_size)
    content[item.header_offset + 60 + len(item.filename) + item.compress_size // 2] ^= 1
    path.write_bytes(content)


def _rewritten(path: Path, name: str, content: bytes | None) -> None:
    """The archive with one file's content altered, or without it: whole as a zip file."""
    with zipfile.ZipFile(path) as opened:
        files = {item: opened.read(item) for item in opened.namelist()}
    with zipfile.ZipFile(path, "w") as opened:
        for item, old in files.items():
            if item != name or content is not None:
                opened.writestr(item, content if item == name and content is not None else old)


def _altered(path: Path) -> None:
    _rewritten(path, f"data/cohorts/{COHORT}.yaml", b"name: another\n")


def _lacking(path: Path) -> None:
    _rewritten(path, f"mlruns/moves/{COHORT}/0001.json", None)


def _unreadable(path: Path) -> None:
    _rewritten(path, MANIFEST, b'{"format": 1, "files": 3}')


def _outside(path: Path) -> None:
    with zipfile.ZipFile(path) as opened:
        text = opened.read(MANIFEST)
    _rewritten(path, MANIFEST, text.replace(b'"params.yaml"', b'"../params.yaml"'))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_cut, "no whole archive"),
        (_flip, "damaged: "),
        (_altered, "wpbc.yaml has not the digest"),
        (_lacking, "named by the manifest or there, not both"),
        (_unreadable, "its manifest.json cannot be read"),
        (_outside, "which is no file of a project"),
    ],
)
@pytest.mark.parametrize("options", [[], ["--replace"]])
def test_a_damaged_archive_is_refused_in_one_message_and_nothing_is_changed(
    project: Path,
    archive: Path,
    capsys: pytest.CaptureFixture[str],
    damage: object,
    said: str,
    options: list[str],
) -> None:
    assert callable(damage)
    damage(archive)
    if not options:
        shutil.rmtree(project / "mlruns")
    before = _bytes(project)
    assert run("project", "restore", str(archive), *options) == 1
    found = capsys.readouterr().err
    assert said in found
    assert found.count("error:") == 1
    assert _bytes(project) == before
    assert not list(project.glob(".restoring-*"))


def test_a_restore_that_cannot_be_finished_is_taken_back(
    project: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "params.yaml").write_text("seed: 1\n")
    before = _bytes(project)
    rename = os.replace

    def fails_at_the_registry(source: Path, target: Path) -> None:
        if Path(target) == project / "mlruns" and ".restoring-" in str(source):
            raise PermissionError(13, "Permission denied", str(target))
        rename(source, target)

    # The real fault, another owner's folder, does not stop root, who may be running this.
    monkeypatch.setattr(os, "replace", fails_at_the_registry)
    assert run("project", "restore", str(archive), "--replace") == 1
    assert "Permission denied. Nothing was changed" in capsys.readouterr().err
    assert _bytes(project) == before
    assert not list(project.glob("replaced-*"))


def test_a_backup_overwrites_nothing_and_wants_a_project(
    project: Path, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = archive.read_bytes()
    assert run("project", "backup", str(archive)) == 1
    assert "is there already" in capsys.readouterr().err
    assert archive.read_bytes() == before
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert run("project", "backup", "other.zip") == 1
    assert "no params.yaml" in capsys.readouterr().err


def test_a_database_that_is_written_to_meanwhile_is_copied_as_of_one_moment(project: Path, tmp_path: Path) -> None:
    """Pairs of rows are written in one transaction each; no copy may hold half a pair."""
    database, stop = project / "mlruns" / "mlflow.db", threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(database, timeout=30)) as connection:
            number = 0
            while not stop.is_set():
                with connection:
                    for half in "ab":
                        connection.execute(
                            "insert into experiment_tags (key, value, experiment_id) select ?, ?, experiment_id "
                            "from experiments where name = ?",
                            (f"{half}{number}", "x", COHORT),
                        )
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            assert run("project", "backup", str(tmp_path / f"{number}.zip")) == 0
    finally:
        stop.set()
        writer.join()
    for number in range(3):
        with zipfile.ZipFile(tmp_path / f"{number}.zip") as opened:
            opened.extract("mlruns/mlflow.db", tmp_path / str(number))
        with closing(sqlite3.connect(tmp_path / str(number) / "mlruns" / "mlflow.db")) as copy:
            assert copy.execute("pragma integrity_check").fetchone() == ("ok",)
            ((first, second),) = copy.execute(
                "select sum(key glob 'a[0-9]*'), sum(key glob 'b[0-9]*') from experiment_tags"
            ).fetchall()
            assert first == second


def test_audit_log_and_store_come_back_where_the_settings_say_and_a_log_is_never_taken_back(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log, store = tmp_path / "service" / "audit.jsonl", tmp_path / "service" / "store"
    store.mkdir(parents=True)
    (store / "2026-01-01.jsonl").write_text("{}\n")
    monkeypatch.setenv("RELAPSE_AUDIT_LOG", str(log))
    monkeypatch.setenv("RELAPSE_MONITOR", str(store))
    writes = AuditLog(log, KEY, model="m", version="1")
    writes.append("predict", [(b"a patient", {"risk": 0.5})])
    before = log.read_bytes()
    assert run("project", "backup", str(tmp_path / "all.zip")) == 0
    shutil.rmtree(log.parent)
    shutil.rmtree(project / "mlruns")
    assert run("project", "restore", str(tmp_path / "all.zip")) == 0
    assert log.read_bytes() == before
    assert verify(log, KEY).lines == 1
    assert os.stat(log).st_mode & 0o777 == 0o600
    assert (store / "2026-01-01.jsonl").read_text() == "{}\n"
    writes.append("predict", [(b"another", {"risk": 0.5})])
    longer = log.read_bytes()
    assert run("project", "restore", str(tmp_path / "all.zip"), "--replace") == 0
    assert "never taken back to an earlier state" in capsys.readouterr().out
    assert log.read_bytes() == longer


def test_a_registry_elsewhere_is_said_not_to_be_in_the_archive_without_its_password(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret-word@db.example/mlflow")
    assert run("project", "backup", str(tmp_path / "kept.zip")) == 0
    assert "are NOT in it" in (said := capsys.readouterr().out)
    with zipfile.ZipFile(tmp_path / "kept.zip") as opened:
        assert "secret-word" not in said + opened.read(MANIFEST).decode()
