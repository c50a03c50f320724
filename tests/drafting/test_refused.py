"""`relapse cohort new` on what is no table, or no answer: one clear message, and nothing written."""

from pathlib import Path

import pytest

from .making import Odd, odd_tables
from .running import judge

ODD = [odd for odd in odd_tables() if odd.refused]


def test_there_are_sixty_tables_in_all() -> None:
    assert len(odd_tables()) >= 60
    assert len({odd.name for odd in odd_tables()}) == len(odd_tables())


@pytest.mark.parametrize("odd", [pytest.param(odd, id=odd.name) for odd in ODD])
def test_an_odd_table_is_refused_in_one_message(
    odd: Odd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(odd, tmp_path, monkeypatch, capsys)
