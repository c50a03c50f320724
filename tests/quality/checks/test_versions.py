"""What has drifted since the accepted version of a table is told, and chance is not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import typed
from relapse.ground.errors import DeclarationError
from relapse.ground.files import write_json
from relapse.quality.accepted import LEAST, RARE, Accepted, accepted_of, read_accepted
from relapse.quality.checks.versions import versions

COHORT = Cohort.model_validate(
    {
        "name": "harbour",
        "title": "Drawn",
        "source": {"csv": "harbour.csv"},
        "licence": "none",
        "citation": "none",
        "patient": "pid",
        "endpoint": {"kind": "binary", "label": "relapse", "event": "event"},
        "features": {
            "size": {"type": "continuous", "unit": "mm", "range": [0, 500], "max_missing": 0.5},
            "grade": {"type": "ordinal", "levels": ["I", "II", "III", "IV"]},
            "her2": {"type": "nominal", "levels": ["negative", "positive"]},
        },
        "reference": ["size"],
    }
)


def draw(rows: int, seed: int) -> pd.DataFrame:
    """Patients of one kind."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "patient": [f"P{seed}-{number}" for number in range(rows)],
            "site": None,
            "size": np.where(rng.random(rows) < 0.1, np.nan, rng.lognormal(3, 0.5, rows)),
            "grade": rng.choice(["I", "II", "III"], rows, p=[0.2, 0.5, 0.3]),
            "her2": rng.choice(["negative", "positive"], rows, p=[0.85, 0.15]),
            "event": rng.binomial(1, 0.3, rows),
        }
    )


def table(*parts: pd.DataFrame) -> pd.DataFrame:
    """The parts below each other, typed."""
    whole = pd.concat(parts, ignore_index=True)
    return typed(whole.assign(row=np.arange(1, len(whole) + 1)), COHORT)


def accept(*parts: pd.DataFrame) -> Accepted:
    """What is kept of an accepted table of these parts."""
    return accepted_of(table(*parts), COHORT, fingerprint="a digest")


BEFORE = draw(300, 1)


def test_nothing_is_told_of_the_accepted_table_itself_nor_where_none_was_accepted() -> None:
    assert versions(table(BEFORE), COHORT, accept(BEFORE)) == []
    assert versions(table(BEFORE), COHORT, None) == []


def test_patients_of_the_same_kind_raise_no_finding() -> None:
    """80 tables of chance: were the level not kept, some would be told."""
    accepted = accept(BEFORE)
    for seed in range(10, 50):
        assert versions(table(BEFORE, draw(120, seed)), COHORT, accepted) == []
        assert versions(table(draw(300, seed + 1000)), COHORT, accepted) == []


def test_of_patients_added_it_is_they_who_are_compared() -> None:
    """Among 300 others, 60 patients measured in cm are a sixth of the table, and all of what came since."""
    added = draw(60, 2).assign(size=lambda part: part["size"] / 10)
    (found,) = versions(table(BEFORE, added), COHORT, accept(BEFORE))
    assert (found.code, found.column) == ("V001", "size")
    assert "of the 60 patients added" in found.message
    assert "up to " in found.message


def test_where_old_rows_changed_the_whole_table_is_compared() -> None:
    changed = BEFORE.assign(grade=BEFORE["grade"].replace({"I": "II"}))
    found = versions(table(changed), COHORT, accept(BEFORE))
    assert [(item.code, item.column) for item in found] == [("V001", "grade")]
    assert "I in 0% of all 300 patients" in found[0].message


def test_a_level_that_nobody_had_is_a_class_of_its_own() -> None:
    added = draw(60, 3).assign(grade="IV")
    (found,) = versions(table(BEFORE, added), COHORT, accept(BEFORE))
    assert (found.code, found.column) == ("V001", "grade")
    assert "levels that nobody had in 100% of the 60 patients added" in found.message


def test_lost_values_and_another_share_of_events_are_told() -> None:
    added = draw(80, 4)
    added["size"] = added["size"].mask(np.arange(80) % 2 == 0)
    added["event"] = (np.arange(80) % 4 > 0).astype(int)
    found = versions(table(BEFORE, added), COHORT, accept(BEFORE))
    assert [(item.code, item.column) for item in found] == [("V003", "event"), ("V002", "size")]
    assert all(item.severity == "warning" for item in found)


def test_fewer_patients_are_told() -> None:
    found = versions(table(BEFORE[:280]), COHORT, accept(BEFORE))
    assert [item.code for item in found] == ["V004"]
    assert found[0].message.startswith("20 patients fewer than the 300")


def test_what_is_kept_tells_of_no_patient() -> None:
    part = draw(300, 5)
    part.loc[:2, "grade"] = "IV"
    part.loc[3, "size"] = 487.123
    kept = accept(part)
    grade, size = kept.features["grade"], kept.features["size"]
    # Three patients of grade IV are a class only together with those of the rarest other grade.
    assert set(grade.classes or ()) == {"II", "III", RARE}
    for counted in kept.features.values():
        assert min(counted.counts) >= LEAST
        assert counted.missing == 0 or counted.missing >= LEAST
    assert all(float(f"{limit:.3g}") == limit for limit in size.limits or ())
    assert "487" not in kept.model_dump_json()
    assert not set(part["patient"]) & set(kept.model_dump_json().split('"'))


def test_of_a_patient_with_several_rows_the_first_counts() -> None:
    assert accept(BEFORE, BEFORE).patients == 300


def test_it_is_written_and_read_and_a_broken_file_says_which_command_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "harbour.json"
    assert read_accepted(path) is None
    write_json(path, accept(BEFORE).model_dump(mode="json", exclude_none=True))
    assert read_accepted(path) == accept(BEFORE)
    path.write_text("{")
    with pytest.raises(DeclarationError, match=r"harbour\.json: not readable as JSON. `relapse cohort accept harbour`"):
        read_accepted(path)
    path.write_text('{"cohort": "harbour"}')
    with pytest.raises(DeclarationError, match=r"harbour\.json: fingerprint: this key is required"):
        read_accepted(path)
