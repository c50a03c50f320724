"""A registry that the pipeline made is without fault by its own records after loss, restore elsewhere, and a move."""

import shutil
from pathlib import Path

import pytest

from tests.project import Project

COHORT = "wpbc"


@pytest.mark.slow
def test_a_published_project_is_without_fault_after_restore_elsewhere_and_after_a_move(tmp_path: Path) -> None:
    project = Project.copy(tmp_path / "at first", cohorts=[COHORT]).evaluated(COHORT)
    done = project.run("python", "pipelines/register.py", "--cohort", COHORT)
    assert done.returncode == 0, done.stdout
    archive = str(tmp_path / "kept.zip")
    assert project.run("relapse", "project", "backup", archive).returncode == 0
    again = Project.copy(tmp_path / "another machine", cohorts=[COHORT])
    shutil.copyfile(project.root / "params.yaml", again.root / "params.yaml")
    shutil.rmtree(project.root)
    done = again.run("relapse", "project", "restore", archive)
    assert done.returncode == 0, done.stdout
    for _ in range(2):
        done = again.run("relapse", "registry", "verify", COHORT)
        assert done.returncode == 0, done.stdout
        assert "1 records checked, 0 faults" in done.stdout
        moved = Project(again.root.with_name(f"{again.root.name}, moved"))
        again.root.rename(moved.root)
        assert moved.run("relapse", "registry", "verify", COHORT).returncode == 1, "a move has to be noticed"
        assert moved.run("relapse", "registry", "relocate").returncode == 0
        again = moved
