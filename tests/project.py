"""A copy of the project in a folder of its own, with a small budget, to run the real pipeline in."""

import os
import runpy
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from joblib import delayed
from ruamel.yaml import YAML

from relapse.machinery import machinery
from relapse.params import read_params
from relapse.workers import shared_out

ROOT = Path(__file__).resolve().parents[1]

#: What the pipeline needs to run; results and MLflow's files are made anew.
COPIED = (
    ".dvcignore",
    "bento",
    "data/accepted",
    "data/cohorts",
    "pipelines",
    "src",
    "dvc.yaml",
    "params.yaml",
    "pyproject.toml",
)

SMALL = {
    "candidates": ["reference", "linear"],
    "split": {"folds": 3, "repeats": 1},
    "train": {"inner_folds": 2, "trials": 2},
    "evaluate": {"resamples": 100},
    "audit": {"candidates": ["linear"], "folds": 2, "repeats": 1, "inner_folds": 2, "draws": 2},
    "explain": {"background": 4, "shuffles": 2, "resamples": 100, "correlated": 0.8},
    "added_value": {"candidates": ["linear"]},
}


def without(program: str) -> None:
    """Skip what needs a program that is not installed; fail where continuous integration says that nothing may be."""
    if os.environ.get("RELAPSE_REQUIRE_PROGRAMS"):
        pytest.fail(f"{program} is not installed, and RELAPSE_REQUIRE_PROGRAMS says that it has to be.")
    pytest.skip(f"{program} is not installed")


@dataclass(frozen=True)
class Project:
    """The copy at ``root``; ``settings`` are environment variables of the commands run in it."""

    root: Path
    settings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def copy(cls, root: Path, **params: Any) -> "Project":
        """Copy the project to ``root`` and set ``params`` over the small budget."""
        for name in COPIED:
            source, target = ROOT / name, root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, target)
        (root / "data" / "raw").mkdir()
        (root / "data" / "raw" / ".gitkeep").touch()
        project = cls(root)
        project.set_params(**SMALL | params)
        return project

    def set_params(self, **params: Any) -> None:
        """Replace whole sections of ``params.yaml``, those of the chosen budget included."""
        yaml = YAML()
        path = self.root / "params.yaml"
        content = yaml.load(path)
        budget = content["budgets"][content["budget"]]
        for name, value in params.items():
            (budget if name in budget else content)[name] = value
        yaml.dump(content, path)

    def evaluated(self, cohort: str) -> "Project":
        """Run every stage of a cohort before ``register`` in this process; returns the project."""
        # Workers that an earlier test left stand in another folder than this project's: here they always do.
        list(shared_out([delayed(os.getpid)()] * 2, machinery(), total=2, label="workers"))
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.root)
            for name, value in self.settings.items():
                patch.setenv(name, value)
            for stage in ("ingest", "gate", "split"):
                self.stage(stage, cohort=cohort)
            for candidate in read_params().candidates:
                self.stage("train", cohort=cohort, candidate=candidate)
            for stage in ("added_value", "evaluate", "describe", "explain", "audit"):
                self.stage(stage, cohort=cohort)
        return self

    def stage(self, name: str, **arguments: str) -> None:
        """Run a stage in this process; the working folder has to be :attr:`root`."""
        runpy.run_path(str(self.root / "pipelines" / f"{name}.py"))["main"](**arguments)

    @property
    def environment(self) -> dict[str, str]:
        """For subprocesses: this interpreter's programs, the copy's library, one thread."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MLFLOW_", "RELAPSE_", "BENTOML_"))
        }
        return kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.root / "src"),
            "OMP_NUM_THREADS": "1",
            "DVC_NO_ANALYTICS": "true",
            **self.settings,
        }

    def start(self, *command: str) -> "subprocess.Popen[str]":
        """Start a command in the copy, in a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str, timeout: float = 1800) -> "subprocess.CompletedProcess[str]":
        """Run a command in the copy to its end; where that does not come in time, fail with what it said."""
        try:
            return subprocess.run(
                command,
                cwd=self.root,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            said = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else error.stdout or ""
            pytest.fail(f"{' '.join(command)} did not end in {timeout:g} s; it said:\n{said[-4000:]}")
