"""A published table is held against itself; what rounding explains is not flagged."""

from pathlib import Path

import pytest

from relapse.evaluation.published import check_published, read_published
from relapse.ground.errors import PredictionsError

STUDY = Path(__file__).parents[1] / "reference" / "published-radiomics.csv"


def _codes(**cells: str) -> list[str]:
    return [found.code for found in check_published([{"what": "x", **cells}])]


def test_the_first_study_s_table_is_flagged_where_it_does_not_fit() -> None:
    found = {(item.what, item.code): item.message for item in check_published(read_published(STUDY))}
    assert "0.89 lies outside its interval [0.90, 0.97]" in found["AUC random forest", "P001"]
    assert "two-sided p of 0.108 to 0.111, not 0.042" in found["DeLong CNN - random forest", "P002"]
    assert ("DeLong CNN - XGBoost", "P002") in found
    assert ("DeLong CNN - CatBoost", "P002") in found
    assert ("McNemar CNN - random forest", "P003") in found
    assert not {what for what, _ in found} & {"AUC XGBoost", "AUC CatBoost", "AUC 1D-CNN", "F1 random forest"}


@pytest.mark.parametrize(
    ("cells", "codes"),
    [
        ({"z": "1.96", "p": "0.05"}, []),
        ({"z": "-1.96", "p": "0.050"}, []),
        ({"z": "1.96", "p": "0.025"}, ["P002"]),
        ({"z": "0.0", "p": "1.0"}, []),
        ({"z": "4.5", "p": "<0.001"}, []),
        ({"z": "2.0", "p": "<0.001"}, ["P002"]),
        ({"chi2": "3.84", "p": "0.05"}, []),
        ({"chi2": "6.0", "p": "0.0023"}, ["P003"]),
        ({"estimate": "0.90", "lower": "0.95", "upper": "0.99"}, ["P001"]),
        ({"estimate": "0.95", "lower": "0.953", "upper": "0.99"}, ["P005"]),
        ({"estimate": "0.7", "lower": "0.9", "upper": "0.6"}, ["P004"]),
        ({"estimate": "0.5", "lower": "0.4", "upper": "0.6"}, []),
        ({"precision": "0.5", "recall": "0.5", "f1": "0.50"}, []),
        ({"precision": "0.5", "recall": "0.5", "f1": "0.60"}, ["P006"]),
        ({"p": "0.05"}, []),
    ],
)
def test_each_check_fires_and_stays_silent(cells: dict[str, str], codes: list[str]) -> None:
    assert _codes(**cells) == codes


def test_a_one_sided_p_is_recognised() -> None:
    (found,) = check_published([{"what": "x", "z": "1.645", "p": "0.050"}])
    assert "It would fit a one-sided test" in found.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "expected a column 'what'"),
        ("what,p,p\nx,0.1,0.9\n", r"column name more than once: p \(columns 2, 3\)"),
        ("what,p\nx,0.1,0.9\n", "some rows have more cells than there are columns"),
        ("what;p\nx;0.1\n", "the cells look separated by ';'"),
        ("what,p\nx,soon\n", "line 2, p: expected a number such as 0.89"),
    ],
)
def test_a_table_that_cannot_be_checked_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(PredictionsError, match=message):
        read_published(path)
    with pytest.raises(PredictionsError, match="no such file"):
        read_published(tmp_path / "absent.csv")
