"""Drawn data are written where they are asked for, the same for the same seed."""

from pathlib import Path

import pandas as pd
import pytest

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import ingest
from relapse.commands.cohort import simulate
from relapse.ground.errors import DeclarationError
from relapse.imaging import phantoms
from relapse.imaging.reading.layout import Layout


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Phantoms of few voxels."""
    monkeypatch.setattr(phantoms.Phantoms.__init__, "__defaults__", (60, 3, (24, 24, 12), 1.0, 0.2, 0.5, 0))
    monkeypatch.setenv("RELAPSE_WORKERS", "1")


@pytest.mark.usefixtures("_small")
def test_phantoms_are_written_in_the_layout_that_their_cohort_declares(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declared = read_cohort(root / "data" / "cohorts" / "phantoms.yaml")
    assert declared.images is not None
    folder = tmp_path / declared.images.folder
    simulate("phantoms", folder, seed=3, patients=4, signal=1.0)
    assert "images and clinical sheet of 4 phantoms; no real patient is among them" in capsys.readouterr().out
    assert len(Layout(folder).patients()) == 4
    study = Layout(folder).study("PHANTOM_0002", declared.images.phases)
    assert all(path.is_file() for path in study.files)
    table, flow, _ = ingest(declared, root=tmp_path)
    assert (flow.rows_read, len(table)) == (4, 4)
    before = [path.read_bytes() for path in study.files]
    simulate("phantoms", folder, seed=3, patients=4, signal=1.0)
    assert [path.read_bytes() for path in study.files] == before


@pytest.mark.usefixtures("_small")
def test_without_a_signal_nothing_of_what_is_hidden_tells_of_relapse(tmp_path: Path) -> None:
    simulate("phantoms", tmp_path, seed=3, patients=4, signal=0.0)
    clinical, truth = (pd.read_csv(tmp_path / name) for name in (phantoms.CLINICAL, phantoms.TRUTH))
    assert truth["log_hazard"].nunique() <= len(clinical[["hr", "her2"]].drop_duplicates())


def test_an_unknown_simulation_is_refused_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"'ghosts' is no simulation. There are: radiomics, films, phantoms"):
        simulate("ghosts", tmp_path / "x", seed=1, patients=1, signal=1.0)
    assert not (tmp_path / "x").exists()
