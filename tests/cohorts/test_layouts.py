"""Public cohorts whose files were not at hand are declared as those are laid out: drawn tables in it pass the gate."""

from pathlib import Path

import pytest

from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import Ingested, ingest
from relapse.ground.errors import SourceError
from relapse.quality.gate import check
from tests.cohorts.layouts import PATIENTS, metabric, transbig


def _taken_in(cohort: Cohort, variable: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> Ingested:
    monkeypatch.setenv(variable, str(path))
    found = ingest(cohort, root=Path())
    check(found.table, found.cohort).require(source=found.flow.source)
    return found


def test_metabric_is_read_as_cbioportal_lays_it_out(
    cohorts: dict[str, Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, flow, cohort = _taken_in(cohorts["metabric"], "RELAPSE_METABRIC", metabric(tmp_path), monkeypatch)
    left = {item.reason: item.rows for item in flow.excluded}
    assert flow.rows_read == PATIENTS
    assert left["no molecular subtype (most of them have little else recorded)"] >= 40
    assert left["metastatic at diagnosis"] == 1
    # The first patient is the sarcoma as well.
    assert left["no carcinoma"] == 1
    assert left["no outcome recorded (RFS_MONTHS)"] == 1
    assert len(table) == flow.rows_kept == PATIENTS - sum(left.values())
    assert set(table["event"]) == {0, 1}
    assert set(table["er_ihc"].dropna()) == {"negative", "positive"}
    assert set(table["threegene"].dropna()) == set(cohort.features["threegene"].names)
    assert not {"surgery", "chemo", "hormone", "radio"} & set(cohort.predictors)
    outcome = {"OS_STATUS", "OS_MONTHS", "RFS_STATUS", "RFS_MONTHS", "VITAL_STATUS"}
    assert not outcome & {cohort.source_column(name) for name in cohort.features}


def test_metabric_takes_deaths_in_as_its_declaration_says(
    cohorts: dict[str, Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = cohorts["metabric"]
    endpoint = plain.endpoint.model_dump(by_alias=True) | {
        "also": [{"event": "OS_STATUS", "time": "OS_MONTHS"}],
        "values": plain.endpoint.values | {"0:LIVING": 0, "1:DECEASED": 1},
    }
    both = Cohort.model_validate(plain.model_dump(by_alias=True) | {"endpoint": endpoint})
    found = _taken_in(both, "RELAPSE_METABRIC", metabric(tmp_path), monkeypatch)
    alone = ingest(plain, root=Path())
    assert found.table["event"].sum() > alone.table["event"].sum() > 0


def test_transbig_is_read_as_r_writes_it_and_its_centimetres_are_millimetres(
    cohorts: dict[str, Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, flow, cohort = _taken_in(cohorts["transbig"], "RELAPSE_TRANSBIG", transbig(tmp_path), monkeypatch)
    assert len(table) == flow.rows_read == PATIENTS // 2
    assert table["tsize"].between(6, 50).all()
    assert table["site"].nunique() == 5
    assert table["tgrade"].isna().sum() == 2
    assert not [name for name in cohort.features if cohort.source_column(name)[:2] in ("e.", "t.")]


def test_a_spelling_that_the_layout_has_not_is_caught(
    cohorts: dict[str, Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from relapse.ground.errors import GateError

    path = metabric(tmp_path) / "data_clinical_patient.txt"
    path.write_text(path.read_text().replace("claudin-low\t", "Claudin low\t"))
    with pytest.raises(GateError, match="subtype"):
        _taken_in(cohorts["metabric"], "RELAPSE_METABRIC", tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("metabric", "RELAPSE_METABRIC is not set. Set it to the folder of the file. To be had from: cBioPortal, study brca_metabric"),
        ("transbig", r"RELAPSE_TRANSBIG is not set. Set it to the file. To be had from: .*write.csv\(Biobase::pData\(transbig\)"),
        ("rotterdam", "RELAPSE_ROTTERDAM is not set. Set it to the file. To be had from: R's survival package"),
        ("duke", "RELAPSE_DUKE_CLINICAL is not set"),
        ("mama_mia", "RELAPSE_MAMA_MIA_CLINICAL is not set"),
        ("cbis_ddsm", "RELAPSE_CBIS_DDSM_MASS is not set"),
    ],
)  # fmt: skip
def test_who_has_not_set_a_variable_is_told_where_the_file_is_had(
    name: str, said: str, cohorts: dict[str, Cohort], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("METABRIC", "TRANSBIG", "ROTTERDAM", "DUKE_CLINICAL", "MAMA_MIA_CLINICAL", "CBIS_DDSM_MASS"):
        monkeypatch.delenv(f"RELAPSE_{variable}", raising=False)
    with pytest.raises(SourceError, match=said) as told:
        ingest(cohorts[name], root=Path())
    assert "To be had from: " in str(told.value)
