"""A declaration is parsed whole or refused with file, key, value and what is allowed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.declared.endpoint import SurvivalEndpoint
from relapse.cohorts.schema import Cohort
from relapse.ground.errors import DeclarationError

Declare = Callable[..., Path]


def test_words_yes_and_no_stay_words(cohorts: dict[str, Cohort]) -> None:
    assert cohorts["gbsg"].features["horTh"].names == ["no", "yes"]


def test_horizons_are_given_in_the_endpoint_s_unit(cohorts: dict[str, Cohort]) -> None:
    endpoint = cohorts["gbsg"].endpoint
    assert isinstance(endpoint, SurvivalEndpoint)
    assert [(h.label, h.time, h.column) for h in endpoint.horizons] == [
        ("3 y", 1095.75, "risk_3y"),
        ("5 y", 1826.25, "risk_5y"),
    ]


def test_a_feature_known_later_is_no_predictor(declare: Declare) -> None:
    cohort = read_cohort(declare(("levels: [I, II, III]}", "levels: [I, II, III], known: after}")))
    assert cohort.predictors == ["size", "nodes", "subtype"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: A small table", "titel: A small table", r"mine\.yaml: titel: unknown key"),
        ("title: A small table", "", r"mine\.yaml: title: this key is required"),
        ("title: A small table", "title: A small table\ntripod: {28: Done.}", r"tripod: .*28: no item of the TRIPOD\+AI checklist"),
        ("name: mine", "name: other", r"the cohort is called 'other', so its file is other\.yaml"),
        ("name: mine", "name: My Cohort", r"'My Cohort' is no cohort name: lower-case letters"),
        ("range: [1, 100]", "range: [100, 1]", r"features\.size.*range: \[100, 1\] is no range"),
        ("levels: [I, II, III]", "levels: [I]", "at least two different levels"),
        ("type: continuous", "type: decimal", r"features\.size.*type"),
        ("reference: [size]", "reference: [sise]", "reference names sise, which is no declared feature"),
        ("reference: [size]", "reference: [size]\nsubgroups: [nodes]", "only ordinal and nominal features form subgroups"),
        ("grade: {type", "time: {type", "feature 'time': a feature's name is"),
        ("column: mol_subtype", "column: relapse", r"feature 'subtype': its column 'relapse' belongs to the endpoint and cannot be a feature"),
        ("column: mol_subtype", "column: id", r"feature 'subtype': its column 'id' names the patient and cannot be a feature"),
        ("kind: binary, event: relapse", "kind: survival, time: nodes, unit: day, horizons: [5 y], event: relapse", r"feature 'nodes': its column 'nodes' belongs to the endpoint"),
        ("kind: binary, event: relapse", "kind: survival, time: t, also: [{event: death, time: size}], unit: day, horizons: [5 y], event: relapse", r"feature 'size': its column 'size' belongs to the endpoint"),
        ("levels: [I, II, III]}", "levels: [I, II, III], column: relapse, known: after}", r"feature 'grade': its column 'relapse' belongs to the endpoint"),
        ("size: {type: continuous, unit: mm, range: [1, 100]}", "size: {type: continuous, unit: mm, range: [1, 100], known: after}", "known only after baseline"),
        ("kind: binary, event: relapse", "kind: survival, time: t, unit: day, horizons: [soon], event: relapse", "horizon 'soon' is not a number and a unit: 5 y"),
        ("kind: binary, event: relapse", "kind: survival, time: t, unit: day, horizons: [5 y, 3 y], event: relapse", "horizons are given in rising order"),
        ("source: {csv: mine.csv}", "source: {package: numpy, dataset: x}", "source.*package"),
        ("reference: [size]", "reference: [size]\nexclusions: [{column: size, reason: x}]", "give exactly one of missing, equals, below, above; found 0"),
    ],
)  # fmt: skip
def test_a_wrong_declaration_names_file_key_and_what_is_allowed(
    declare: Declare, old: str, new: str, message: str
) -> None:
    path = declare((old, new))
    with pytest.raises(DeclarationError, match=message):
        read_cohort(path)


def test_the_site_may_be_a_feature_as_well(declare: Declare) -> None:
    """It is known at baseline, and subgroups by hospital need it as one."""
    cohort = read_cohort(
        declare(
            ("patient: id", "patient: id\nsite: grade"), ("reference: [size]", "reference: [size]\nsubgroups: [grade]")
        )
    )
    assert cohort.source_column("grade") == cohort.site


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected keys and values .*, found an empty file"),
        ("- a\n- b", "found a list"),
        ("a: [1", "not readable as YAML"),
        ("name: a\nname: b", "not readable as YAML"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(DeclarationError, match=message):
        read_cohort(path)


def test_an_absent_declaration_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"absent\.yaml: no such file"):
        read_cohort(tmp_path / "absent.yaml")


def test_a_declaration_survives_being_written_and_read(cohorts: dict[str, Cohort]) -> None:
    # A wide group is expanded before anything is written.
    for cohort in (item for item in cohorts.values() if not item.groups):
        assert Cohort.model_validate(cohort.model_dump(mode="json")) == cohort
