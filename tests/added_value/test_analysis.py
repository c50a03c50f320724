import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from relapse.added_value.analysis import analyse
from relapse.added_value.evidence import AddedValue, read_added_value, write_added_value
from relapse.added_value.frames import forest_frame
from relapse.added_value.protocol import Workbench
from relapse.added_value.questions import Role, questions
from relapse.added_value.sites import OTHERS, left_out_sites
from relapse.cohorts.schema import Cohort
from relapse.evaluation.statistics.ranking.binary import roc_auc
from relapse.machinery import machinery
from relapse.training.splits import outer_folds

from .conftest import analysed, small_params
from .making import WARDS, marked_cohort, marked_table


def test_a_planted_effect_is_shown_and_its_figures_agree_with_each_other(planted: AddedValue) -> None:
    (answer,) = planted.answers
    (found,) = answer.families
    assert answer.shown
    assert found.p_holm < 0.001
    with_block, base = (found.model(role).metrics[planted.primary].value for role in (Role.SCORE, Role.BASE))
    way = found.addition(Role.SCORE)
    assert way.test.difference == pytest.approx(with_block - base, abs=1e-12)
    assert way.differences[planted.primary].value == pytest.approx(way.test.difference, abs=1e-12)
    assert way.test.difference > 0.05
    assert way.p_holm >= way.test.p


def test_groups_are_subgroups_sites_and_sites_left_out(planted: AddedValue) -> None:
    groups = planted.answers[0].leading.addition(Role.SCORE).groups
    named = {kind: [group.level for group in groups if group.kind == kind] for kind in ("subgroup", "site", "left out")}
    assert named == {"subgroup": ["l", "r"], "site": list(WARDS), "left out": list(WARDS)}
    assert sum(group.patients for group in groups if group.kind == "site") == planted.patients
    frame = forest_frame(planted, planted.answers[0], {"side": "Side"})
    assert list(frame["kind"].drop_duplicates()) == ["everybody", "subgroup", "site", "left out"]
    assert "Side: l" in set(frame["label"])


def test_evidence_comes_back_from_its_file(planted: AddedValue, tmp_path: Path) -> None:
    write_added_value(tmp_path / "a.json", planted)
    assert read_added_value(tmp_path / "a.json") == planted
    assert json.loads(json.dumps(planted.headline()))["markers_over_reference"]["linear"]["shown"] == 1.0


def test_the_answer_does_not_hang_on_the_number_of_workers_or_on_what_is_known_already(root: Path) -> None:
    cohort = marked_cohort(markers=2)
    table, params = marked_table(cohort, effect=0.5, patients=150), small_params(root, "linear")
    bench = Workbench(
        table, cohort, outer_folds(table, folds=3, repeats=1, seed=1), params.train, params.seed, machinery()
    )
    (question,) = questions(cohort)
    base = bench.base(question)
    plain, reused = analysed(table, cohort, params), analysed(table, cohort, params, reference=base)
    assert plain.answers == reused.answers
    assert set(plain.seconds) - set(reused.seconds) == {"marked-reference_base reference"}


def test_the_score_of_a_training_patient_is_by_a_model_that_has_not_seen_her(root: Path) -> None:
    # Of pure noise a forest remembers every patient it has seen.
    cohort = marked_cohort(binary=True, markers=30)
    table, params = marked_table(cohort, effect=0.0, patients=120), small_params(root, "forest")
    bench = Workbench(
        table, cohort, outer_folds(table, folds=3, repeats=1, seed=1), params.train, params.seed, machinery()
    )
    (question,) = questions(cohort)
    held_out = bench._block(question, "forest").held_out
    event = table.set_index("row")["event"]
    for (_, fold), part in held_out.groupby(["repeat", "fold"]):
        assert roc_auc(event.loc[part["row"]].to_numpy(), part["score"].to_numpy()) < 0.7, fold
    rows = {fold: set(part["row"]) for fold, part in held_out.groupby("fold")}
    predictions = bench.block(question, "forest")
    for fold, part in predictions.groupby("fold"):
        assert rows[fold] == set(table["row"]) - set(part["row"])


def test_noise_is_not_shown_to_add_anything_in_several_rows_a_patient(root: Path) -> None:
    cohort = marked_cohort(binary=True, markers=3)
    table = marked_table(cohort, effect=0.0, patients=150, views=2, seed=1)
    found = analysed(table, cohort, small_params(root, "linear"))
    (answer,) = found.answers
    assert not answer.shown
    assert "by patient" in answer.leading.score_test.method
    assert (found.rows, found.patients) == (300, 150)


def test_a_cohort_without_blocks_asks_nothing(root: Path) -> None:
    features = {
        name: feature.model_copy(update={"block": None}) for name, feature in marked_cohort(markers=1).features.items()
    }
    cohort = Cohort.model_validate(
        marked_cohort().model_dump() | {"features": {k: v.model_dump() for k, v in features.items()}, "blocks": {}}
    )
    found = analysed(marked_table(cohort, effect=0.0, patients=120), cohort, small_params(root, "linear"))
    assert found.answers == ()
    assert found.seconds == {}


def test_small_sites_are_left_out_together_and_one_site_is_none() -> None:
    cohort = marked_cohort()
    table = marked_table(cohort, effect=0.3)
    table.loc[table.index[:5], "site"] = "tiny"
    table.loc[table.index[5:9], "site"] = "small"
    sites = left_out_sites(table)
    assert sites is not None
    assert sites.names == (*WARDS, OTHERS)
    assert (sites.folds["fold"] == 3).sum() == 9
    assert left_out_sites(table.assign(site="")) is None
    assert left_out_sites(table.assign(site="one")) is None


def test_a_patient_of_two_sites_is_left_out_whole() -> None:
    cohort = marked_cohort(binary=True)
    table = marked_table(cohort, effect=0.3, patients=200, views=2)
    table.loc[table["patient"] == "Q0", "site"] = ["east", "west"]
    sites = left_out_sites(table)
    assert sites is not None
    assert sites.folds.set_index("row")["fold"].groupby(table.set_index("row")["patient"]).nunique().max() == 1


def test_pairs_within_sites_are_not_helped_by_what_a_site_tells(root: Path) -> None:
    # The marker is the site's label, and one ward relapses more: pooled it ranks, within a ward it cannot.
    cohort = marked_cohort(binary=True, markers=1)
    table = marked_table(cohort, effect=0.0, patients=300)
    rng = np.random.default_rng(3)
    east = (table["site"] == "east").to_numpy()
    table["event"] = (rng.random(len(table)) < np.where(east, 0.7, 0.2)).astype(int)
    table["m0"] = np.where(east, 1.0, -1.0)
    found = analysed(table, cohort, small_params(root, "linear"))
    block = found.answers[0].leading.model(Role.BLOCK)
    assert block.metrics["auc"].value > 0.65
    assert block.within_sites is not None
    assert block.within_sites.value == pytest.approx(0.5, abs=0.05)


def test_a_base_that_knows_nothing_of_a_subgroup_ranks_it_by_chance_and_not_below(root: Path) -> None:
    # The base is the receptor alone: within either receptor it says the same of everybody. Raw, its scores differ from
    # fold to fold, lower where more events were held out.
    cohort = marked_cohort(reference=["side"])
    found = analysed(marked_table(cohort, effect=0.0, patients=150), cohort, small_params(root, "linear"))
    groups = found.answers[0].leading.addition(Role.SCORE).groups
    assert [group.base.value for group in groups if group.kind == "subgroup" and group.base] == [0.5, 0.5]


def test_folds_drawn_several_times_are_averaged_over_places(root: Path) -> None:
    cohort = marked_cohort(markers=2)
    table, params = marked_table(cohort, effect=0.7, patients=150), small_params(root, "linear")
    alone = dataclasses.replace(machinery(), workers=1, storage=None)
    folds = outer_folds(table, folds=2, repeats=2, seed=1)
    (answer,) = analyse(table, cohort, folds, params=params, machinery=alone).answers
    assert answer.leading.model(Role.SCORE).metrics["harrell_c"].value > 0.6
