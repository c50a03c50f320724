"""Which rule a missing value is under: declared for a feature, a wide group or the cohort, and never against itself."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from relapse.cohorts.catalogue import read_cohort, to_yaml
from relapse.cohorts.declared.features import Missing
from relapse.cohorts.missing import indicated, rule
from relapse.cohorts.resolution import resolve
from relapse.cohorts.schema import Cohort
from relapse.cohorts.size import parameters
from relapse.ground.errors import DeclarationError
from tests.gaps import OPEN, gappy_cohort, gappy_declaration
from tests.wide import wide_cohort


def _read(folder: Path, declared: dict[str, Any]) -> Cohort:
    path = folder / "gappy.yaml"
    YAML().dump(declared, path)
    return read_cohort(path)


def _declared(**features: dict[str, Any]) -> dict[str, Any]:
    content = gappy_declaration("median", survival=False)
    return content | {"features": {name: item | features.get(name, {}) for name, item in content["features"].items()}}


def test_a_feature_has_its_own_rule_else_the_cohorts_else_median() -> None:
    content = gappy_declaration("indicator", survival=False)
    for name in ("size", "grade"):
        del content["features"][name]["missing"]
    plain, with_default = Cohort.model_validate(content), Cohort.model_validate(content | {"missing": "iterative"})
    assert [rule(plain, name) for name in ("age", "size", "nodes")] == ["refuse", "median", "indicator"]
    assert [rule(with_default, name) for name in ("age", "size", "nodes")] == ["refuse", "iterative", "indicator"]


@pytest.mark.parametrize("rules", list(Missing))
def test_every_rule_is_read_and_written_again(tmp_path: Path, rules: Missing) -> None:
    given = {"missing": str(rules)} | ({"max_missing": 0.0} if rules is Missing.REFUSE else {})
    cohort = _read(tmp_path, _declared(size=given))
    assert rule(cohort, "size") is rules
    (tmp_path / "cohort.yaml").write_text(to_yaml(cohort), encoding="utf-8")
    assert read_cohort(tmp_path / "cohort.yaml") == cohort


def test_a_declaration_without_the_key_says_nothing_of_it(cohorts: dict[str, Cohort]) -> None:
    assert not re.search(r"missing: (None|null|refuse|median)", to_yaml(cohorts["wpbc"]))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"size": {"missing": "refuse"}},
            r"features\.size\.number: missing: refuse lets no value be missing.*0\.6 does",
        ),
        ({"age": {"missing": "native"}}, r"features\.age\.number: missing: native says what becomes.*Give max_missing"),
        ({"subtype": {"missing": "mean"}}, r"features\.subtype\.category\.missing: Input should be 'refuse', 'median'"),
    ],
)
def test_a_contradiction_is_one_message_that_names_the_key(
    tmp_path: Path, changed: dict[str, dict[str, Any]], said: str
) -> None:
    with pytest.raises(DeclarationError, match=said) as caught:
        _read(tmp_path, _declared(**changed))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("default", "max_missing", "said"),
    [
        ("refuse", 0.2, r"refuse is what happens wherever a feature has no max_missing"),
        ("indicator", 0, r"missing: indicator is for features that may be missing, and none has max_missing"),
    ],
)
def test_a_cohorts_rule_has_to_have_an_effect(tmp_path: Path, default: str, max_missing: float, said: str) -> None:
    content = gappy_declaration("median", survival=False)
    for name in OPEN:
        del content["features"][name]["missing"]
        content["features"][name]["max_missing"] = max_missing
    with pytest.raises(DeclarationError, match=said):
        _read(tmp_path, content | {"missing": default})


def test_a_wide_group_gives_its_rule_to_each_of_its_features(tmp_path: Path) -> None:
    group = {"type": "continuous", "max_missing": 0.3, "missing": "iterative"}
    content = _declared()
    cohort = _read(tmp_path, content | {"features": content["features"] | {"F*": group}})
    raw = pd.DataFrame({name: ["1", "2"] for name in [*cohort.features, "F1", "F2", "event"]})
    resolved = resolve(cohort, raw, origin=dict.fromkeys(raw.columns, ""))
    assert [rule(resolved, name) for name in ("F1", "F2", "size")] == ["iterative", "iterative", "median"]
    with pytest.raises(DeclarationError, match=r"features\.F\*: missing: refuse lets no value"):
        _read(tmp_path, content | {"features": content["features"] | {"F*": group | {"missing": "refuse"}}})


def test_indicators_count_as_parameters_and_a_reduced_block_shares_one() -> None:
    plain, said = (gappy_cohort(name, survival=True) for name in ("median", "indicator"))
    assert parameters(said, said.predictors) == parameters(plain, plain.predictors) + len(OPEN)
    assert parameters(said, ["age"]) == 1
    wide = wide_cohort(survival=True).model_copy(update={"missing": Missing.INDICATOR})
    alone, shared = indicated(wide, wide.predictors)
    assert (alone, {block: len(names) for block, names in shared.items()}) == ([], {"mri_scan": 40})
    assert parameters(wide, wide.predictors) == 42 + 1
