import json
import multiprocessing

import pytest

from relapse.commands.app import main
from relapse.ground.errors import AuditLogError
from relapse.serving.audit_log import START, AuditLog, verify

KEY = b"a key of at least sixteen"
PATIENT = b'{"tsize": 48.62951}'


def _log(path):
    return AuditLog(path, KEY, model="relapse-gbsg", version="0123456789ab")


@pytest.fixture
def written(tmp_path):
    """A log of three lines."""
    path = tmp_path / "audit.jsonl"
    log = _log(path)
    log.append("predict", [(PATIENT, {"risk": 0.25})])
    log.append("predict_batch", [(PATIENT, {"risk": 0.5}), (b"{}", {"risk": 0.75})])
    return path


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_tells_when_what_answered_and_what_it_said_and_nothing_of_the_patient(written):
    first, second, third = _lines(written)
    assert {key: first[key] for key in ("number", "endpoint", "model", "version", "output", "previous")} == {
        "number": 1,
        "endpoint": "predict",
        "model": "relapse-gbsg",
        "version": "0123456789ab",
        "output": {"risk": 0.25},
        "previous": START,
    }
    assert first["time"].endswith("+00:00")
    assert first["input"] == second["input"] != third["input"]
    assert "48.62951" not in written.read_text()
    assert written.stat().st_mode & 0o777 == 0o600


def test_the_chain_goes_on_after_a_restart_and_holds(written):
    _log(written).append("explain", [(PATIENT, {"output": 1.5})])
    found = verify(written, KEY)
    assert (found.lines, found.last) == (4, _lines(written)[-1]["digest"])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: [lines[0].replace("0.25", "0.26"), *lines[1:]], "line 1: altered"),
        (lambda lines: [lines[0], lines[2]], "line 2: does not follow"),
        (lambda lines: [lines[1], lines[0], lines[2]], "line 1: does not follow"),
        (lambda lines: lines[1:], "line 1: does not follow"),
        (lambda lines: [*lines, lines[2]], "line 4: does not follow"),
        (lambda lines: [*lines[:2], lines[2][:40]], "line 3: no JSON object"),
    ],
    ids=["altered", "taken out", "moved", "first gone", "repeated", "cut short"],
)
def test_a_damaged_line_is_found(written, damage, message):
    written.write_text("\n".join(damage(written.read_text().splitlines())) + "\n")
    with pytest.raises(AuditLogError, match=message):
        verify(written, KEY)


def test_another_key_fits_no_line(written):
    with pytest.raises(AuditLogError, match="line 1: altered, or RELAPSE_AUDIT_KEY"):
        verify(written, b"another key of sixteen")


@pytest.mark.parametrize("left", [5, 100])
def test_half_a_line_that_a_killed_writer_left_is_told_then_set_aside_and_the_chain_goes_on(written, left):
    *whole, last = written.read_bytes().splitlines(keepends=True)
    written.write_bytes(b"".join(whole) + last[:left])
    with pytest.raises(AuditLogError, match=r"line 3: cut short.*gave no such answer.*The 2 lines before it hold"):
        verify(written, KEY)
    _log(written).append("explain", [(PATIENT, {"output": 1.5})])
    assert verify(written, KEY).lines == 3
    aside = written.with_name("audit.jsonl.cut")
    assert aside.read_bytes() == last[:left] + b"\n"
    assert aside.stat().st_mode & 0o777 == 0o600


def test_half_a_line_of_something_else_stops_the_start(written):
    with written.open("ab") as stream:
        stream.write(b"half a line")
    with pytest.raises(AuditLogError, match="ends within a line that is none of an audit log"):
        _log(written)


def test_a_file_that_is_no_log_is_not_appended_to(tmp_path):
    (tmp_path / "other").write_text("something else\n")
    with pytest.raises(AuditLogError, match="no audit log"):
        _log(tmp_path / "other")
    with pytest.raises(AuditLogError, match="cannot be opened"):
        _log(tmp_path)


def _append(path, count):
    log = _log(path)
    for number in range(count):
        log.append("predict", [(PATIENT, {"risk": number / count})] * (1 + number % 3))


def test_several_workers_append_to_one_chain(tmp_path):
    path = tmp_path / "audit.jsonl"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append, args=(path, 60)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert verify(path, KEY).lines == 4 * sum(1 + number % 3 for number in range(60))


def test_the_command_checks_a_log_and_names_the_line_that_was_altered(written, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["relapse", "audit-log", str(written)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "RELAPSE_AUDIT_KEY" in capsys.readouterr().err
    monkeypatch.setenv("RELAPSE_AUDIT_KEY", KEY.decode())
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    assert "3 lines, none altered, moved or missing" in capsys.readouterr().out
    written.write_text(written.read_text().replace('"risk":0.5', '"risk":0.6'))
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert "line 2: altered" in capsys.readouterr().err
