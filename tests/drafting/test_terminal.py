"""The five questions of `relapse cohort new`, driven in a real terminal."""

import os
import signal
import sys
from pathlib import Path

import pexpect
import pytest

from relapse.cohorts.catalogue import read_cohort

from .making import clinic, text

SECONDS = 60


@pytest.fixture
def asked(tmp_path: Path) -> "pexpect.spawn[str]":
    """The command on a terminal, in an empty project beside a table."""
    (tmp_path / "clinic.csv").write_text(text(clinic()))
    (tmp_path / "project").mkdir()
    return pexpect.spawn(
        sys.executable,
        ["-c", "from relapse.commands.app import main; main()", "cohort", "new", "../clinic.csv"],
        cwd=str(tmp_path / "project"),
        env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
        encoding="utf-8",
        timeout=SECONDS,
        dimensions=(40, 200),
        # Who runs the tests in the background of a shell has interrupts ignored, and so would the command; on a terminal
        # they are not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_enter_takes_every_guess_and_marks_nothing_that_was_asked(asked: "pexpect.spawn[str]", tmp_path: Path) -> None:
    for question, guess in (
        ("Which column holds the outcome", "relapse"),
        ("Which column holds the time to it", "rfs_months"),
        ("In which unit is it", "month"),
        ("Which column names the patient", "patient_id"),
        ("Which features does the clinic use today", "size_mm, nodes, grade, er"),
    ):
        asked.expect(question)
        asked.expect_exact(f"[{guess}]: ")
        asked.sendline("")
    asked.expect("Next: read data/cohorts/clinic.yaml, then `relapse cohort check clinic`")
    asked.expect(pexpect.EOF)
    asked.close()
    assert asked.exitstatus == 0
    declaration = tmp_path / "project" / "data" / "cohorts" / "clinic.yaml"
    assert read_cohort(declaration).reference == ("size_mm", "nodes", "grade", "er")
    written = declaration.read_text()
    assert "taken by their names" not in written
    assert "guessed from how long" not in written


def test_a_wrong_answer_is_asked_again_and_other_answers_count(asked: "pexpect.spawn[str]", tmp_path: Path) -> None:
    asked.expect("outcome")
    asked.sendline("rezidiv")
    asked.expect("outcome: no column 'rezidiv'. There are: patient_id, age")
    asked.expect("Which column holds the outcome")
    asked.sendline("RELAPSE")
    asked.expect("time to it")
    asked.sendline("none")
    # Without a time there is no unit to be asked for.
    asked.expect("Which column names the patient")
    asked.sendline("none")
    asked.expect("reference model")
    asked.sendline("nodes, stage")
    asked.expect("no feature 'stage'")
    asked.sendline("nodes, chemo")
    asked.expect("Next: read")
    asked.expect(pexpect.EOF)
    asked.close()
    cohort = read_cohort(tmp_path / "project" / "data" / "cohorts" / "clinic.yaml")
    assert (cohort.endpoint.kind, cohort.patient, cohort.reference) == ("binary", None, ("nodes", "chemo"))
    # Whoever names a treatment in the reference model says that it is known at baseline.
    assert "chemo" in cohort.predictors


def test_whoever_stops_at_a_question_has_written_nothing(asked: "pexpect.spawn[str]", tmp_path: Path) -> None:
    asked.expect("Which column holds the outcome")
    asked.sendline("")
    asked.expect_exact("[rfs_months]: ")
    asked.sendcontrol("c")
    asked.expect(pexpect.EOF)
    asked.close()
    assert asked.exitstatus != 0
    assert not list((tmp_path / "project").iterdir())
