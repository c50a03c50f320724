"""What targets of the Makefile would do, as `make` itself says it."""

import os
import shutil
import subprocess

import pytest

from tests.project import ROOT, without


def _planned(*arguments: str, **settings: str) -> list[str]:
    """The commands of targets, messages left out; nothing is run."""
    if shutil.which("make") is None:
        without("make")
    # Where `make test` runs this test, what that make hands down, and what it was told, is none of this one's.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "MFLAGS", "PIP_", "UV_")) and name != "COHORT"
    }
    done = subprocess.run(
        ["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, env=inherited | settings
    )
    return [line for line in done.stdout.splitlines() if not line.startswith("echo")]


@pytest.mark.parametrize(
    ("arguments", "commands"),
    [
        (("run",), ["relapse run"]),
        (("run", "COHORT=rotterdam"), ["relapse use rotterdam --keep", "relapse run --cohort rotterdam"]),
        (("run", "COHORT=gbsg"), ["relapse use gbsg --keep", "relapse run --cohort gbsg"]),
    ],
)
def test_make_run_is_of_every_cohort_unless_one_is_named(arguments: tuple[str, ...], commands: list[str]) -> None:
    assert _planned("-o", "setup", *arguments) == commands


@pytest.mark.parametrize(("settings", "told"), [({}, False), ({"PIP_NO_INDEX": "1"}, True)])
def test_without_an_index_neither_installer_asks_one(settings: dict[str, str], told: bool) -> None:
    # pip heeds the variable, uv has none of its own: without the argument it asked an index that a hospital does not have.
    (installed,) = [line for line in _planned("-W", "pyproject.toml", "setup", **settings) if "uv pip install" in line]
    assert ("--no-index" in installed) is told
