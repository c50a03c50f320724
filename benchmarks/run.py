"""Wall seconds of ``relapse run``, two cohorts at a time, against ``dvc repro``, one stage at a time.

``python -P benchmarks/run.py`` from the repository root; ``--budget default``. Both run everything from nothing, in
turn, in clones of the last commit; the installed environment is this one.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_COMMANDS = (["dvc", "repro"], ["relapse", "run"])


def seconds(command: list[str], folder: Path, budget: str) -> float:
    """Wall seconds of a command in a fresh clone."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    params = folder / "params.yaml"
    params.write_text(params.read_text().replace("budget: default", f"budget: {budget}"))
    paths = {"PYTHONPATH": str(folder / "src"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    # As the Makefile does: bytecode is kept even where a machine switches it off.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=kept | paths, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - start


def main() -> None:
    """Run both and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="quick")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        walls = [seconds(command, Path(temporary) / command[0], asked.budget) for command in _COMMANDS]
    for command, wall in zip(_COMMANDS, walls, strict=True):
        print(f"{' '.join(command):<14}{wall:8.1f} s")
    print(f"{'ratio':<14}{walls[1] / walls[0]:8.2f}")


if __name__ == "__main__":
    main()
