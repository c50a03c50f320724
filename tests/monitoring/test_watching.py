"""Everything watched together: false alarms over a year of looks, and drifts that were planted."""

import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pytest

from relapse.bundle.monitoring import monitor, read_monitored
from relapse.ground.errors import BundleError
from relapse.monitoring.performance import Known
from relapse.monitoring.served import Served, spans
from relapse.monitoring.streams import judge
from relapse.monitoring.watching import watch
from tests.bundle.making import out_of_fold
from tests.project import ROOT


@pytest.fixture(scope="module")
def benchmark():
    """The script whose figures stand in the docs."""
    spec = importlib.util.spec_from_file_location("monitoring_benchmark", ROOT / "benchmarks" / "monitoring.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_year_of_weekly_looks_without_drift_raises_few_false_alarms(benchmark):
    world = benchmark.World(patients=300, weekly=20, features=8)
    alarmed = sum(bool(benchmark.year(world, seed)[0]) for seed in range(40))
    # Binomial(40, 0.05) exceeds 5 with a chance of 1%.
    assert alarmed <= 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("planted", "code"),
    [
        ({"shift": 0.8}, "W001 x0"),
        ({"missing": (0.2, 0.6)}, "W002 x1"),
        ({"riskier": 0.8}, "W003"),
        ({"correlation": 0.9}, "W004"),
        ({"logit": 1.2}, "W006"),
        ({"effect": -1.0}, "W007"),
        ({"logit": -3.0}, "W008"),
    ],
)
def test_each_planted_drift_is_found_by_its_own_alarm_after_it_began(benchmark, planted, code):
    world = replace(benchmark.World(patients=300, weekly=30, features=6, begins=13), **planted)
    weeks = benchmark.year(world, 1)[0]
    assert 1 <= weeks[code] <= 30


def _served(size, training, seed=1):
    """Patients who are distributed as the training was."""
    rng = np.random.default_rng(seed)
    classes = np.column_stack(
        [rng.choice(item.counts.size, size, p=item.counts / item.counts.sum()) for item in training.features.values()]
    )
    days = np.datetime64("2026-01-05") + np.arange(size) // 3
    names = np.array([f"p{number}" for number in range(size)])
    return Served(days, names, classes, rng.choice([0.1, 0.3, 0.5], size), np.zeros(size))


def test_fewer_patients_than_needed_are_not_judged(watched):
    training = watched["meadow"].bundle.monitored
    labels = {name: name for name in training.features}
    assert watch(_served(19, training), training, None, labels=labels, may_lack=()) == []
    assert watch(_served(20, training), training, None, labels=labels, may_lack=())


def test_a_look_changes_nothing_of_what_an_earlier_one_found(watched):
    training = watched["meadow"].bundle.monitored
    labels = {name: name for name in training.features}
    served = _served(240, training)
    served.classes[90:, 0] = 9
    early = watch(served.at(np.arange(200)), training, None, labels=labels, may_lack=("nodes",))
    late = watch(served, training, None, labels=labels, may_lack=("nodes",))
    assert early[0].alarm
    assert [item.alarm and item.alarm.day for item in early] == [item.alarm and item.alarm.day for item in late][
        : len(early)
    ]
    assert early[0].alarm.day > np.datetime64("2026-02-04")
    assert abs((early[0].alarm.since - np.datetime64("2026-02-04")).astype(int)) <= 7


def test_outcomes_change_nothing_of_what_is_found_without_them(watched):
    mine = watched["harbour"]
    training = mine.bundle.monitored
    labels = {name: name for name in training.features}
    served = _served(200, training)
    event = np.random.default_rng(2).integers(0, 2, 200)
    known = Known(np.arange(200), served.day, served.risk, event)
    without = judge([item.stream for item in watch(served, training, None, labels=labels, may_lack=())])
    among = watch(served, training, known, labels=labels, may_lack=())
    assert [item.adjusted for item in among[: len(without)]] == [item.adjusted for item in without]
    assert [item.stream.code.code for item in among[len(without) :]] == ["W006", "W007", "W008"]


def test_what_a_bundle_holds_is_counted_from_the_training_and_no_class_below_five(watched):
    mine = watched["meadow"]
    training, table = mine.bundle.monitored, mine.item.table
    assert training.patients == len(table)
    assert training.features["nodes"].missing == int(table["nodes"].isna().sum())
    assert dict(
        zip(training.features["assay"].classes.classes, training.features["assay"].classes.counts, strict=True)
    ) == (table["assay"].value_counts().to_dict())
    assert training.features["grade"].classes.classes == ("low", "high")
    counted = [item.classes.counts for item in training.features.values()]
    assert min(min(counts) for counts in (*counted, training.risk.counts, training.whole.distances.counts)) >= 5
    assert training.risk_label == "relapse by 3 y"
    assert training.outcomes.horizon == pytest.approx(3 * 365.25)


def test_of_a_patient_with_several_rows_the_first_counts(cohorts, tables):
    table, cohort = tables["radiomics"], cohorts["radiomics"]
    made = monitor(table, cohort, out_of_fold(cohort, table, "reference"), threshold=None)
    assert made.patients == table["patient"].nunique() < len(table)
    assert sum(made.features[cohort.predictors[0]].classes.counts) <= made.patients


def test_too_few_of_either_outcome_leave_outcomes_unwatched(cohorts, tables):
    cohort = cohorts["wpbc"]
    table = tables["wpbc"].copy()
    risks = out_of_fold(cohort, table, "reference")
    table["event"] = (np.arange(len(table)) < 9).astype(int)
    assert monitor(table, cohort, risks, threshold=0.3).outcomes is None


def test_a_bundle_that_says_something_else_is_refused(watched, tmp_path):
    mine = watched["meadow"]
    (tmp_path / "monitoring.json").write_text('{"patients": 3}')
    with pytest.raises(BundleError, match=r"monitoring\.json: not as expected"):
        read_monitored(tmp_path, mine.item.cohort)
    (tmp_path / "monitoring.json").write_text((mine.folder / "monitoring.json").read_text().replace('"age"', '"aged"'))
    with pytest.raises(BundleError, match="its features are not the predictors"):
        read_monitored(tmp_path, mine.item.cohort)


def test_spans_are_whole_weeks_of_enough_patients_and_hold_everybody_once():
    days = np.datetime64("2026-01-01") + np.sort(np.random.default_rng(1).integers(0, 100, 150))
    found = spans(days, least=20)
    assert np.concatenate(found).tolist() == list(range(150))
    assert min(map(len, found)) >= 20
    assert [len(span) for span in spans(days[:5], least=20)] == [5]
    assert spans(days[:0], least=20) == []
