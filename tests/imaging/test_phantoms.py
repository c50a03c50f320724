"""Phantoms: equal seeds give equal files, what is planted shows, and nothing else tells of relapse."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relapse.evaluation.statistics.ranking.concordance import concordance
from relapse.imaging.phantoms import CLINICAL, SITES, TRUTH, Phantoms, draw_patients, draw_phantom, write_phantoms
from relapse.imaging.reading.layout import Layout, read_volume
from relapse.machinery import Machinery

SMALL = Phantoms(patients=3, shape=(48, 48, 16))


def machine(workers: int = 1) -> Machinery:
    return Machinery(workers=workers, tracking_uri="", artifact_root=None, backend="threading")


def test_files_are_the_same_byte_by_byte_for_any_number_of_workers(tmp_path: Path) -> None:
    for workers in (1, 2):
        write_phantoms(SMALL, tmp_path / str(workers), machine(workers))
    one, two = (
        {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
        for folder in (tmp_path / "1", tmp_path / "2")
    )
    assert one == two
    assert len(one) == 3 * 4 + 2


def test_they_lie_as_mama_mia_does_and_can_be_read(tmp_path: Path) -> None:
    write_phantoms(SMALL, tmp_path, machine())
    layout = Layout(tmp_path)
    assert list(layout.patients()) == pd.read_csv(tmp_path / CLINICAL)["patient_id"].tolist()
    assert pd.read_csv(tmp_path / TRUTH)["patient_id"].tolist() == list(layout.patients())
    found = layout.study("PHANTOM_0002", (0, 1, "last"))
    volumes = [read_volume(path) for path in found.phases]
    mask = read_volume(found.mask).values > 0
    before, first, last = (float(volume.values[mask].mean()) for volume in volumes)
    assert before < last < first


@pytest.mark.parametrize(("hidden", "other"), [("texture", "washout"), ("washout", "texture")])
def test_each_hidden_number_shows_in_its_own_way(hidden: str, other: str) -> None:
    seen = []
    for value in (-1.5, 1.5):
        numbers = {hidden: value, other: 0.0}
        made = draw_phantom(SMALL, 0, texture=numbers["texture"], washout=numbers["washout"], site=SITES[1])
        inside = made.phases[:, made.mask > 0] / made.bias[made.mask > 0]
        seen.append((inside[1].std() / inside[1].mean(), 1 - inside[2].mean() / inside[1].mean()))
    uneven, washed = np.array(seen).T
    if hidden == "texture":
        assert uneven[1] > 2.5 * uneven[0]
        assert abs(washed[1] - washed[0]) < 0.02
    else:
        assert washed[1] > washed[0] + 0.15
        assert abs(uneven[1] - uneven[0]) < 0.03


def test_the_oracle_ranks_relapses_only_where_a_signal_is_planted() -> None:
    found = {}
    for signal in (0.0, 1.5):
        clinical, truth = draw_patients(Phantoms(patients=2000, signal=signal))
        event = (clinical["days_to_recurrence"] > 0).to_numpy()
        time = clinical["days_to_follow_up"].to_numpy(dtype=float)
        found[signal] = concordance(time, event, truth["score"].to_numpy())
        assert 0.4 < event.mean() < 0.65
    assert abs(found[0.0] - 0.5) < 0.03
    assert found[1.5] > 0.75


def test_sites_and_bias_can_be_switched_off() -> None:
    plain = Phantoms(patients=1, shape=(48, 48, 16), bias=0, sites=0)
    first, last = (draw_phantom(plain, 0, texture=0, washout=0, site=site) for site in (SITES[0], SITES[2]))
    np.testing.assert_array_equal(first.phases, last.phases)
    np.testing.assert_array_equal(first.bias, 1)
    differing = [draw_phantom(SMALL, 0, texture=0, washout=0, site=site) for site in SITES]
    assert len({made.affine[0, 0] for made in differing}) == 3
    assert differing[0].phases[0].mean() < differing[2].phases[0].mean()


def test_too_small_a_phantom_is_refused() -> None:
    with pytest.raises(ValueError, match="12 voxels along each axis"):
        Phantoms(shape=(64, 64, 8))


def test_no_more_contrast_goes_than_came() -> None:
    # The strongest wash-out there is, and noise of deviation 6 in either phase.
    drawn = draw_phantom(Phantoms(1, shape=SMALL.shape, bias=0, sites=0), 0, texture=0.0, washout=2.5, site="site B")
    tumour = drawn.mask > 0
    change = drawn.phases[-1][tumour].astype(int) - drawn.phases[0][tumour]
    assert change.min() > -60
    assert change.min() < 60  # the rim has lost all of it
