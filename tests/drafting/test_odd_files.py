"""`relapse cohort new` on files as programs write them: encodings, signs, headers, dates, sheets, SPSS, Stata."""

from pathlib import Path

import pytest

from .making import Odd, odd_tables
from .running import judge

ODD = [odd for odd in odd_tables() if not odd.refused and odd.about == "file"]


@pytest.mark.parametrize("odd", [pytest.param(odd, id=odd.name) for odd in ODD])
def test_an_odd_table_gets_the_right_declaration(
    odd: Odd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(odd, tmp_path, monkeypatch, capsys)
