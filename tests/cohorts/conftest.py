"""A small declared CSV cohort that tests break in one place at a time."""

from collections.abc import Callable
from pathlib import Path

import pytest

DECLARATION = """
name: mine
title: A small table
source: {csv: mine.csv}
licence: none
citation: none
patient: id
endpoint: {kind: binary, event: relapse, values: {N: 0, R: 1}}
features:
  size: {type: continuous, unit: mm, range: [1, 100]}
  nodes: {type: count, range: [0, 50], max_missing: 0.5}
  grade: {type: ordinal, levels: [I, II, III]}
  subtype: {type: nominal, levels: {0: Luminal A, 1: Luminal B}, column: mol_subtype}
reference: [size]
"""

HEADER = "id,relapse,size,nodes,grade,mol_subtype\n"
ROWS = "a,N,10,0,I,0\nb,R,20.5,,II,1\nc,N,12,3,III,1\nd,R,33,1,II,0\n"


@pytest.fixture
def declare(tmp_path: Path) -> Callable[..., Path]:
    """Write a declaration (with replacements) and a CSV; give the declaration's path."""

    def write(*replacements: tuple[str, str], csv: str | bytes | None = HEADER + ROWS) -> Path:
        text = DECLARATION
        for old, new in replacements:
            assert old in text, f"{old!r} does not stand in the declaration"
            text = text.replace(old, new)
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        if csv is not None:
            data = csv if isinstance(csv, bytes) else csv.encode()
            (tmp_path / "mine.csv").write_bytes(data)
        return path

    return write
