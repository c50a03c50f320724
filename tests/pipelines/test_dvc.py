"""dvc.yaml says what is true: each stage depends on the library files it imports, and the paths are the workspace's."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from relapse.candidates.catalogue import MODULES
from relapse.ground.workspace import TRAINING_LIBRARY, Workspace
from relapse.params import read_params

from .closure import closure

ROOT = Path(__file__).resolve().parents[2]
STAGES: dict[str, Any] = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]


def _paths(entries: list[Any], cohort: str, candidate: str) -> list[str]:
    names = [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]
    return [name.replace("${item.cohort}", cohort).replace("${item.candidate}", candidate) for name in names]


def _deps(stage: str) -> list[str]:
    """What a stage depends on, by itself and by the file that stands for the library."""
    own: list[str] = STAGES[stage]["deps"]
    return own + (STAGES["library"]["deps"] if TRAINING_LIBRARY.as_posix() in own else [])


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_the_library_files_it_imports(stage: str) -> None:
    declared: set[str] = set()
    needed: set[Path] = set()
    for candidate in MODULES if stage == "train" else [""]:
        start = [ROOT / "pipelines" / f"{stage}.py"]
        if candidate:
            start.append(ROOT / "src" / "relapse" / "candidates" / f"{candidate}.py")
        reached = closure(start, src=ROOT / "src") | set(start[1:])
        mine = [path for path in _paths(_deps(stage), "x", candidate) if path.startswith("src/")]
        files = {file for file in reached if file.name != "__init__.py" or "statistics" in file.parts}
        missing = [file for file in files if not any(file.is_relative_to(ROOT / path) for path in mine)]
        assert not missing, f"{stage} imports {sorted(str(file.relative_to(ROOT)) for file in missing)}: add to deps"
        declared |= set(mine)
        needed |= files
    if stage == "library":
        return  # its files are those that train imports
    idle = [path for path in declared if not any(file.is_relative_to(ROOT / path) for file in needed)]
    assert not idle, f"{stage} never imports {sorted(idle)}: take them out of deps"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_its_own_script_and_depends_on_it(stage: str) -> None:
    assert f"{STAGES[stage]['cmd']} ".startswith(f"python pipelines/{stage}.py ")
    assert f"pipelines/{stage}.py" in STAGES[stage]["deps"]
    assert len((ROOT / "pipelines" / f"{stage}.py").read_text().splitlines()) <= 60


def test_the_paths_of_dvc_yaml_are_those_of_the_workspace() -> None:
    at = Workspace("x")
    declared = {
        stage: set(_paths([entry for key in ("outs", "metrics", "plots") for entry in spec.get(key, [])], "x", "c"))
        for stage, spec in STAGES.items()
    }
    expected = {
        "ingest": {at.table, at.flow, at.resolved, at.pictures, at.contact_sheets, at.film_reader},
        "gate": {at.gate, at.data_docs},
        "describe": {at.table_one, at.description, at.description_figures},
        "split": {at.folds},
        "library": {TRAINING_LIBRARY},
        "train": {at.trained("c")},
        "added_value": {at.added_value, at.added_value_metrics, at.added_value_figures},
        "evaluate": {at.metrics, at.evidence, at.figures, at.curves},
        "explain": {at.explained("c").parent},
        "audit": {at.audit, at.optimism, at.optimism.with_suffix(".png"), at.optimism.with_suffix(".svg")},
        "register": {at.decision, at.published},
        "package": {at.bundle.parent},
        "report": {at.report, at.plots},
    }
    assert declared == {stage: {path.as_posix() for path in paths} for stage, paths in expected.items()}


def test_no_cohort_is_named_in_the_pipeline() -> None:
    text = (ROOT / "dvc.yaml").read_text()
    assert not [path.stem for path in (ROOT / "data" / "cohorts").glob("*.yaml") if path.stem in text]
    assert not [name for name in MODULES if f"/{name}" in text]


def test_every_cohort_and_candidate_of_params_exists() -> None:
    params = read_params(ROOT / "params.yaml")
    assert all((ROOT / Workspace(name).declaration).is_file() for name in params.cohorts)
    assert set(params.candidates) <= set(MODULES)


def test_a_planted_import_is_caught(tmp_path: Path) -> None:
    (tmp_path / "relapse").mkdir()
    (tmp_path / "relapse" / "__init__.py").touch()
    (tmp_path / "relapse" / "a.py").write_text("def f():\n    from relapse.b import g\n")
    (tmp_path / "relapse" / "b.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import relapse.c\n"
    )
    (tmp_path / "relapse" / "c.py").touch()
    (tmp_path / "script.py").write_text("import relapse.a\n")
    found = {path.name for path in closure([tmp_path / "script.py"], src=tmp_path)}
    assert found == {"__init__.py", "a.py", "b.py"}
