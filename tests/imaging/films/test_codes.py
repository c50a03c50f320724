"""Codes are learnt from whoever knows them, and sizes come with intervals that hold."""

import numpy as np
import pytest

from relapse.imaging.films.codes import Codes, fit_codes
from relapse.imaging.films.descriptors import NAMES
from relapse.imaging.films.mias import KINDS


def made(seed: int = 0, drawn: int = 400, real: int = 120) -> dict[str, object]:
    """Descriptors in which one number tells of each code, and real lesions differ from drawn ones in another."""
    rng = np.random.default_rng(seed)
    count = drawn + real
    values = rng.standard_normal((count, len(NAMES)))
    shape, margin = rng.integers(2, size=count), rng.integers(4, size=count)
    kind = np.array([""] * drawn + [("CIRC", "SPIC", "MISC", "ARCH", "ASYM", "CALC")[one % 6] for one in range(real)])
    values[:, 1] += 3 * shape
    margin[drawn:] = [{"SPIC": 3, "MISC": 2}.get(one, 0) for one in kind[drawn:]]
    values[:, 2] += 3 * margin
    values[:, 3] += 4 * np.array([{"ARCH": 1, "ASYM": -1}.get(one, 0) for one in kind])
    values[drawn:, 4] += 6
    shape[drawn:], margin[drawn:] = -1, -1
    true = np.exp(rng.uniform(np.log(5), np.log(50), count))
    certainty = rng.uniform(0, 1, count)
    measured = true * np.exp(rng.normal(0, np.where(certainty > 0.5, 0.05, 0.4)))
    return {
        "descriptors": values,
        "shape": shape,
        "margin": margin,
        "kind": kind,
        "true_diameter": true,
        "measured": measured,
        "certainty": certainty,
        "groups": np.arange(count) // 2,
    }


@pytest.fixture(scope="module")
def codes() -> Codes:
    return fit_codes(**made(), seed=0)  # type: ignore[arg-type]


def test_probabilities_sum_to_one(codes: Codes) -> None:
    for values in np.random.default_rng(1).standard_normal((5, len(NAMES))):
        for found in (codes.shape(values), codes.margin(values), codes.kind(values)):
            assert sum(found) == pytest.approx(1)
        assert len(codes.kind(values)) == len(KINDS)


def test_new_lesions_get_the_codes_that_they_have(codes: Codes) -> None:
    new = made(7)
    values, margin, shape = (np.asarray(new[name]) for name in ("descriptors", "margin", "shape"))
    drawn = margin >= 0
    assert np.mean([np.argmax(codes.margin(one)) for one in values[drawn]] == margin[drawn]) > 0.7
    assert np.mean([np.argmax(codes.shape(one)[:2]) for one in values[drawn]] == shape[drawn]) > 0.85
    kind = np.asarray(new["kind"])
    assert np.mean([np.argmax(codes.shape(one)) == 3 for one in values[kind == "ARCH"]]) > 0.7


def test_a_real_mass_is_not_called_distorted_for_being_real(codes: Codes) -> None:
    new = made(8)
    values, kind = np.asarray(new["descriptors"]), np.asarray(new["kind"])
    masses = values[np.isin(kind, ("CIRC", "SPIC", "MISC"))]
    assert np.mean([np.argmax(codes.shape(one)) < 2 for one in masses]) > 0.8


def test_intervals_hold_of_new_lesions_and_are_wider_where_the_border_is_less_sure(codes: Codes) -> None:
    new = made(9, drawn=600)
    columns = [np.asarray(new[name]) for name in ("measured", "certainty", "descriptors", "true_diameter")]
    sizes = [codes.size(*one[:3]) for one in zip(*columns, strict=True)]
    held = [size.low <= true <= size.high for size, true in zip(sizes, columns[3], strict=True)]
    assert 0.85 < np.mean(held) < 0.97
    nothing = np.zeros(len(NAMES))
    sure, unsure = codes.size(20.0, 0.95, nothing), codes.size(20.0, 0.05, nothing)
    assert sure.high / sure.low < 0.6 * unsure.high / unsure.low
    assert sure.confidence > unsure.confidence + 0.2


def test_codes_are_the_same_after_storing(codes: Codes) -> None:
    again = Codes.from_arrays(codes.to_arrays())
    values = np.random.default_rng(2).standard_normal(len(NAMES))
    assert again.shape(values) == codes.shape(values)
    assert again.margin(values) == codes.margin(values)
    assert again.size(12.0, 0.7, values) == codes.size(12.0, 0.7, values)


def test_what_nobody_knows_is_left_open() -> None:
    known = made(0, drawn=40, real=0) | {"margin": np.full(40, -1), "true_diameter": np.full(40, np.nan)}
    codes = fit_codes(**known, seed=0)  # type: ignore[arg-type]
    values = np.zeros(len(NAMES))
    assert codes.margin(values) == (0.25,) * 4
    assert codes.shape(values)[2:] == (0.0, 0.0)
    size = codes.size(10.0, 0.5, values)
    assert (size.low, size.value, size.high, size.confidence) == (5.0, 10.0, 20.0, 0.5)


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match="NORM"):
        fit_codes(**(made() | {"kind": np.array(["NORM"] * 260)}), seed=0)  # type: ignore[arg-type]
