"""A cohort may name the column that tells the rows of one patient apart; it comes into the canonical table."""

from collections.abc import Callable
from pathlib import Path

import pytest

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import ingest
from relapse.ground.errors import DeclarationError, SourceError

Declare = Callable[..., Path]


def test_the_view_comes_into_the_table_as_text(declare: Declare, tmp_path: Path) -> None:
    path = declare(
        ("patient: id", "patient: id\nview: breast"),
        csv="id,breast,relapse,size,nodes,grade,mol_subtype\na,1,N,10,0,I,0\na, 2,N,20.5,,II,1\n",
    )
    table, _, _ = ingest(read_cohort(path), root=tmp_path)
    assert table["view"].tolist() == ["1", "2"]


def test_a_table_without_the_view_is_refused(declare: Declare, tmp_path: Path) -> None:
    cohort = read_cohort(declare(("patient: id", "patient: id\nview: breast")))
    with pytest.raises(SourceError, match=r"breast \(the view\)"):
        ingest(cohort, root=tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("patient: id", "view: breast", "name the patient's column under patient"),
        ("patient: id", "patient: id\nview: id", "view and patient name the same column"),
        ("features:", "view: breast\nfeatures:\n  view: {type: nominal, levels: [CC, MLO]}", "feature 'view'"),
    ],
)
def test_a_view_that_tells_nothing_apart_is_refused(declare: Declare, old: str, new: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        read_cohort(declare((old, new)))


def test_a_feature_may_be_called_view_where_none_is_declared(declare: Declare) -> None:
    assert read_cohort(declare(("  size:", "  view: {type: nominal, levels: [CC, MLO]}\n  size:"))).view is None
