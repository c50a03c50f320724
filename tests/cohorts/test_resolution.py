"""A wide group is declared once and expanded when the columns are known; a declaration may extend another."""

from collections.abc import Callable
from pathlib import Path

import pytest

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.declared.features import Numeric
from relapse.cohorts.table import ingest, typed
from relapse.ground.errors import DeclarationError
from relapse.quality.checks.catalogue import findings

Declare = Callable[..., Path]

HEADER = "id,relapse,size,nodes,grade,mol_subtype,F 1,F-1,1F,Fx,Fc\n"
ROWS = "".join(
    f"p{place},{'NR'[place % 2]},{10 + place},{place % 4},I,{place % 2},{place},{place / 2},{place},{place**3},7\n"
    for place in range(60)
)
GROUP = '  "F*": {type: continuous, block: imaging, range: {quantiles: [0.1, 0.9], margin: 1.0}}\n'
BLOCKS = "blocks: {imaging: {}}\n"


def declared(declare: Declare, group: str = GROUP, blocks: str = BLOCKS) -> Path:
    return declare(("reference: [size]", f"{group}reference: [size]\n{blocks}"), csv=HEADER + ROWS)


def test_a_pattern_becomes_one_feature_a_column_with_a_plain_name_and_a_learnt_range(
    declare: Declare, tmp_path: Path
) -> None:
    table, _, cohort = ingest(read_cohort(declared(declare)), root=tmp_path)
    assert cohort.groups == {}
    assert cohort.block_features("imaging") == ["F_1", "F_1_2", "Fx", "Fc"]
    assert (cohort.source_column("F_1_2"), cohort.label("F_1_2")) == ("F-1", "F-1")
    feature = cohort.features["F_1"]
    assert isinstance(feature, Numeric)
    assert (feature.range, feature.learnt) == ((-41.3, 100.3), True)
    assert table["F_1_2"].tolist() == [place / 2 for place in range(60)]


def test_what_lies_outside_a_learnt_range_is_told_and_refused_by_nobody(declare: Declare, tmp_path: Path) -> None:
    group = GROUP.replace("margin: 1.0", "margin: 0.1")
    table, _, cohort = ingest(read_cohort(declared(declare, group)), root=tmp_path)
    found = {item.column: item for item in findings(typed(table, cohort), cohort) if item.code in ("F010", "L004")}
    assert found["Fx"].severity == "warning"
    assert found["Fx"].message.startswith("5 values lie outside")
    assert "has one value only" in found["Fc"].message


def test_columns_may_be_listed_and_one_declared_by_itself_is_left_out_of_a_pattern(
    declare: Declare, tmp_path: Path
) -> None:
    group = "  some: {type: count, columns: [F 1, 1F], range: [0, 99]}\n  Fx: {type: continuous, range: [0, 1000000]}\n"
    rest = '  "F*": {type: continuous}\n'
    names = ["F_1", "f_1F"]
    _, _, cohort = ingest(read_cohort(declared(declare, group, "")), root=tmp_path)
    assert list(cohort.features)[-2:] == names
    with pytest.raises(DeclarationError, match=r"features\.F\*: column F 1 is in the group some already"):
        ingest(read_cohort(declared(declare, group + rest, "")), root=tmp_path)
    alone = "  Fx: {type: continuous, range: [0, 1000000]}\n"
    _, _, cohort = ingest(read_cohort(declared(declare, alone + rest, "")), root=tmp_path)
    assert [name for name in cohort.features if name.startswith("F")] == ["Fx", "F_1", "F_1_2", "Fc"]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ('  "G*": {type: continuous}\n', r"mine\.yaml: features\.G\*: no column fits this pattern\. There are: id, relapse"),
        ('  "siz*": {type: continuous}\n', "every column that fits it is declared by itself"),
        ("  g: {type: continuous, columns: [Fxx]}\n", r"features\.g: columns: no source has a column Fxx\. Did you mean Fx\?"),
        ("  g: {type: continuous, columns: [size]}\n", "columns: size is also declared by itself, as feature size"),
        ("  g: {type: continuous, columns: [relapse]}\n", "columns: relapse is no feature"),
        ("  g: {type: continuous, columns: [Fx, Fx]}\n", "Fx stands there more than once"),
        ('  "F*": {type: continuous, range: {quantiles: [0.9, 0.1]}}\n', r"features\.F\*\.range.*the lower quantile comes first"),
        ('  "F*": {type: continuous, block: mri}\n', r"feature 'F\*': block 'mri' is not declared"),
        ('  "F*": {type: nominal}\n', r"features\.F\*\.type"),
        ("  Fx: {type: continuous, range: {margin: 1}}\n", "a range is learnt for a group of columns only"),
    ],
)  # fmt: skip
def test_a_group_that_cannot_be_expanded_is_refused(declare: Declare, tmp_path: Path, group: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        ingest(read_cohort(declared(declare, group, "")), root=tmp_path)


def test_an_extending_declaration_replaces_adds_and_removes(declare: Declare, tmp_path: Path) -> None:
    base = ("reference: [size]", "reference: [size]\nexclusions: [{column: nodes, above: 2, reason: many}]")
    declare(base)
    (tmp_path / "other.yaml").write_text(
        "extends: mine\nname: other\ntitle: Another\nfeatures:\n  grade: null\n"
        "  size: {type: continuous, unit: cm, range: [0, 99]}\n"
        "exclusions: [{column: size, above: 40, reason: large}]\n"
    )
    (tmp_path / "third.yaml").write_text(
        "extends: other\nname: third\nsource: {csv: else.csv}\nexclusions: [{column: nodes, above: 0, reason: any}]\n"
    )
    other, third = read_cohort(tmp_path / "other.yaml"), read_cohort(tmp_path / "third.yaml")
    assert (other.title, list(other.features)) == ("Another", ["size", "nodes", "subtype"])
    assert other.label("size") == "size (cm)"
    assert [item.reason for item in other.exclusions] == ["many", "large"]
    assert [item.reason for item in third.exclusions] == ["large", "any"]
    assert third.title == "Another"


@pytest.mark.parametrize(
    ("base", "message"),
    [("self", "self extends self: a circle"), ("nobody", "no cohort 'nobody' stands beside it. There are: mine")],
)
def test_extending_in_a_circle_or_nothing_is_refused(declare: Declare, tmp_path: Path, base: str, message: str) -> None:
    declare()
    (tmp_path / "self.yaml").write_text(f"extends: {base}\nname: self\n")
    with pytest.raises(DeclarationError, match=message):
        read_cohort(tmp_path / "self.yaml")
