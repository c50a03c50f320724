"""Every statistic against R, to 1e-10 in closed form and to 1e-6 where R iterates.

Values of R that we do not reproduce on purpose are named here and explained in docs/statistics.md.
"""

import numpy as np
import pytest
from scipy import stats

from relapse.evaluation.statistics.calibration.measures import calibration_at_horizon, calibration_binary
from relapse.evaluation.statistics.calibration.regression import cox
from relapse.evaluation.statistics.calibration.validation import validation_indices
from relapse.evaluation.statistics.decisions.agreement import discordant_odds_ratio, mcnemar, mcnemar_table
from relapse.evaluation.statistics.decisions.classification import (
    brier_score,
    classification_metrics,
    scaled_brier_score,
)
from relapse.evaluation.statistics.decisions.decision_curve import net_benefit, net_benefit_at_horizon
from relapse.evaluation.statistics.multiplicity import kendall_tau_b_matrix
from relapse.evaluation.statistics.ranking.binary import (
    auc_estimate,
    delong_covariance,
    delong_test,
    delong_test_unpaired,
    roc_auc,
)
from relapse.evaluation.statistics.ranking.concordance import (
    concordance,
    concordance_counts,
    concordance_estimate,
    kang_covariance,
    kang_test,
)
from relapse.evaluation.statistics.ranking.pairs import pair_counts
from relapse.evaluation.statistics.survival.horizon import (
    ipcw_brier,
    ipcw_brier_test,
    null_brier,
    prediction_accuracy_index,
    time_dependent_auc,
    time_dependent_auc_test,
)
from relapse.evaluation.statistics.survival.kaplan_meier import censoring_survival, kaplan_meier
from relapse.evaluation.statistics.survival.landmark import landmark

from .reference import ELSEWHERE, OWN, case_ids, load, number, same, table


def test_all_kinds_and_cases_are_here() -> None:
    kinds = [
        "delong_paired", "delong_unpaired", "mcnemar_table", "mcnemar_paired", "cindex_paired", "time_dependent",
        "cox", "calibration", "decision_curve_binary", "decision_curve_survival", "kendall_tau_b",
    ]  # fmt: skip
    assert sum(len(case_ids(kind)) for kind in kinds) == 46
    assert sum(map(len, ELSEWHERE.values())) == 8


@pytest.mark.parametrize("name", case_ids("delong_paired"))
def test_delong_paired(name: str) -> None:
    case, data = load(name)
    expected, event = case["expected"], data[case["args"]["outcome"]]
    first, second = data[case["args"]["score1"]], data[case["args"]["score2"]]
    assert (len(data), int(event.sum())) == (expected["n"], expected["n_pos"])
    auc, covariance = delong_covariance(event, np.stack([first, second]))
    same(auc, [expected["auc1"], expected["auc2"]])
    same(covariance.ravel(), [expected[key] for key in ("var1", "cov12", "cov12", "var2")])
    for score, key in ((first, "ci1_pROC"), (second, "ci2_pROC")):
        estimate = auc_estimate(event, score)
        same([estimate.lower, estimate.upper], expected[key])
    test = delong_test(event, first, second)
    same([test.difference, test.statistic, test.p], [expected["diff"], expected["z"], expected["p"]])
    same([test.lower, test.upper], expected["diff_ci"])
    same(((test.upper - test.lower) / 2 / stats.norm.ppf(0.975)) ** 2, expected["var_diff"])


@pytest.mark.parametrize("name", case_ids("delong_unpaired"))
def test_delong_unpaired(name: str) -> None:
    case, one = load(name)
    two = table(OWN, case["file"][1])
    expected = case["expected"]
    samples = (one["y"], one[case["args"]["score1"]], two["y"], two[case["args"]["score2"]])
    same([roc_auc(*samples[:2]), roc_auc(*samples[2:])], [expected["auc1"], expected["auc2"]])
    normal, welch = (delong_test_unpaired(*samples, reference=kind) for kind in ("normal", "t"))
    same([normal.statistic, normal.p], [expected["z_normal"], expected["p_normal"]])
    same([welch.statistic, welch.p], [expected["D"], expected["p_pROC_t"]])


def check_mcnemar(table_: dict[str, int], expected: dict, found) -> None:
    names = {"exact": "p_exact", "midp": "p_midp", "chi2": "p_uncorrected", "corrected": "p_yates"}
    for method, key in names.items():
        test = found(method)
        same(test.difference, expected["diff_first_minus_second"])
        # without a discordant row R has no mid-p; ours is 1, as the exact p
        same(test.p, 1.0 if expected[key] == "NA" else expected[key])
        if method in ("chi2", "corrected"):
            same(test.statistic, expected["chi2_uncorrected" if method == "chi2" else "chi2_yates"])
    odds = discordant_odds_ratio(table_["only_first"], table_["only_second"])
    same([odds.value, odds.lower, odds.upper], [expected["exact_odds_ratio"], *expected["exact_or_ci95"]])


@pytest.mark.parametrize("name", case_ids("mcnemar_table"))
def test_mcnemar_table(name: str) -> None:
    expected = load(name)[0]["expected"]
    counts = {key: expected[key] for key in ("only_first", "only_second", "neither")} | {
        "both": expected["both_correct"]
    }
    check_mcnemar(counts, expected, lambda method: mcnemar_table(**counts, method=method))


@pytest.mark.parametrize("name", case_ids("mcnemar_paired"))
def test_mcnemar_paired(name: str) -> None:
    case, data = load(name)
    event = data["y"].to_numpy() == 1
    calls = data["pred1"].to_numpy(), data["pred2"].to_numpy()
    right = [call == event for call in calls]
    parts = {"accuracy": event | True, "sensitivity_in_positives": event, "specificity_in_negatives": ~event}
    for key, rows in parts.items():
        expected = case["expected"][key]
        check_mcnemar(expected, expected, lambda method, rows=rows: mcnemar(*(r[rows] for r in right), method=method))
    for number_, call in enumerate(calls, start=1):
        found = classification_metrics(event, call)
        keys = [f"{metric}{number_}" for metric in ("acc", "sens", "spec")]
        same([found.accuracy, found.sensitivity, found.specificity], [case["expected"][key] for key in keys])


@pytest.mark.parametrize("name", case_ids("cindex_paired"))
def test_concordance_and_kang(name: str) -> None:
    case, data = load(name)
    args, expected = case["args"], case["expected"]
    time, event = data[args["time"]], data[args["event"]]
    scores = data[args["score1"]], data[args["score2"]]
    influences = []
    for index, score in enumerate(scores, start=1):
        counts = expected[f"counts{index}"]
        found = concordance_counts(time, event, score)
        assert [found.concordant, found.discordant, found.tied_score, found.tied_time, found.tied_both] == [
            counts[key] for key in ("concordant", "discordant", "tied_score", "tied_time_both_events", "tied_both")
        ]
        same(concordance(time, event, score), expected[f"c{index}"])
        same(concordance_estimate(time, event, score).se, expected["survival"][f"se{index}"])
        unbiased = expected["compareC"][f"var{index}"]
        # compareC's variance can be negative; a standard error is then missing
        se = concordance_estimate(time, event, score, variance="u-statistic").se
        same(se, np.sqrt(unbiased) if unbiased >= 0 else "NaN")
        influences.append(pair_counts(time, event, score).influence)
    same(influences[0] @ influences[1], expected["survival"]["cov12"])

    kang = expected["compareC"]
    c, covariance = kang_covariance(time, event, *scores)
    same(c, [kang["c1"], kang["c2"]])
    same(covariance.ravel(), [kang[key] for key in ("var1", "cov12", "cov12", "var2")])
    for test, key in (
        (kang_test(time, event, *scores), "compareC"),
        (kang_test(time, event, *scores, variance="jackknife"), "survival"),
    ):
        wanted = expected[key]
        # identical scores: R divides 0 by 0, we say that there is no difference
        z, p = (0.0, 1.0) if wanted["z"] == "NaN" else (wanted["z"], wanted["p"])
        same([test.difference, test.statistic, test.p], [wanted["diff"], z, p])
    reach = (kang_test(time, event, *scores).upper - kang["diff"]) / stats.norm.ppf(0.975)
    same(reach**2, kang["var_diff"], rel=1e-9)


def jackknife_se(statistic, rows: int) -> np.ndarray:
    """Delete-one jackknife standard error of a vector statistic of row indices."""
    values = np.array([statistic(np.delete(np.arange(rows), row)) for row in range(rows)])
    return np.sqrt((rows - 1) / rows * ((values - values.mean(axis=0)) ** 2).sum(axis=0))


@pytest.mark.parametrize("name", case_ids("time_dependent"))
def test_accuracy_at_horizons(name: str) -> None:
    case, data = load(name)
    time, event = data["time"].to_numpy(), data["event"].to_numpy()
    for expected, columns in zip(case["expected"]["horizons"], case["args"]["risk_columns"].values(), strict=True):
        at = expected["horizon"]
        place = landmark(time, event, at)
        before = np.count_nonzero(~place.case & ~place.control)
        assert [place.case.sum(), place.control.sum(), before] == [
            expected[key] for key in ("cases", "controls", "censored_before")
        ]
        same(kaplan_meier(time, event)(at), expected["km_survival"])
        same(censoring_survival(time, event)(at), expected["G_at_horizon"])
        null = null_brier(time, event, at)
        same([null.value, null.se], [expected["brier_null"], expected["brier_null_se"]])
        one, two = (data[column].to_numpy() for column in columns)
        for risk, wanted in ((one, expected["m1"]), (two, expected["m2"])):
            auc, brier = time_dependent_auc(time, event, risk, at), ipcw_brier(time, event, risk, at)
            same([auc.value, auc.se, auc.lower, auc.upper], [wanted["auc"], wanted["auc_se"], *wanted["auc_ci"]])
            same(
                [brier.value, brier.se, brier.lower, brier.upper],
                [wanted["brier"], wanted["brier_se"], *wanted["brier_ci"]],
            )
            same(prediction_accuracy_index(time, event, risk, at), wanted["ipa"])
            if not np.any((time == at) & (event == 1)):
                same(auc.value, wanted["auc_timeROC"])
                same(auc.se, wanted["auc_se_timeROC"], rel=1e-5)
            calibration = calibration_at_horizon(time, event, risk, at)
            same(risk.mean(), wanted["mean_predicted_risk"])
            same(1 - kaplan_meier(time, event)(at), wanted["observed_risk_km"])
            same(calibration.observed_expected.value, wanted["OE_ratio"])
            slope = wanted["cox_calibration_slope_on_cloglog_risk"], wanted["cox_calibration_slope_se"]
            same([calibration.slope.value, calibration.slope.se], slope, rel=1e-6)
        wanted = expected["auc_diff_m2_minus_m1"]
        test = time_dependent_auc_test(time, event, two, one, at)
        same([test.difference, test.lower, test.upper, test.p], [wanted["diff"], *wanted["ci"], wanted["p"]])
        same((test.upper - test.difference) / stats.norm.ppf(0.975), wanted["se"])
        wanted = expected["brier_diff_m2_minus_m1"]
        test = ipcw_brier_test(time, event, two, one, at)
        same([test.difference, test.p], [wanted["diff"], wanted["p"]])
        same((test.upper - test.difference) / stats.norm.ppf(0.975), wanted["se"])


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if "ties40" in name else pytest.mark.slow) for name in case_ids("time_dependent")],
)
def test_accuracy_at_horizons_without_each_row(name: str) -> None:
    """R's jackknife leaves out every row in turn, so it exercises the estimates on hundreds of further samples."""
    case, data = load(name)
    time, event = data["time"].to_numpy(), data["event"].to_numpy()
    for expected, columns in zip(case["expected"]["horizons"], case["args"]["risk_columns"].values(), strict=True):
        at, risks = expected["horizon"], [data[column].to_numpy() for column in columns]

        def values(rows: np.ndarray, at=at, risks=risks) -> list[float]:
            aucs = [time_dependent_auc(time[rows], event[rows], risk[rows], at).value for risk in risks]
            briers = [ipcw_brier(time[rows], event[rows], risk[rows], at).value for risk in risks]
            return [*aucs, aucs[1] - aucs[0], *briers, briers[1] - briers[0]]

        keys = [f"{metric}_se_{what}" for metric in ("auc", "brier") for what in ("m1", "m2", "diff")]
        same(jackknife_se(values, len(time)), [expected["jackknife"][key] for key in keys], rel=1e-9)


def null_log_likelihood(time: np.ndarray, event: np.ndarray) -> float:
    """Efron's partial log-likelihood at 0."""
    total = 0.0
    for moment in np.unique(time[event]):
        at_risk, tied = np.count_nonzero(time >= moment), np.count_nonzero(event & (time == moment))
        total -= np.log(at_risk - np.arange(tied)).sum()
    return total


@pytest.mark.parametrize("name", case_ids("cox"))
def test_cox(name: str) -> None:
    case, data = load(name)
    expected, columns = case["expected"], case["args"]["covariates"]
    design = data[columns].to_numpy(dtype=float)
    time, event = data["time"].to_numpy(dtype=float), data["event"].to_numpy() == 1
    assert (len(data), event.sum()) == (expected["n"], expected["events"])
    for ties in ("efron", "breslow"):
        fit = cox(design, time, event, ties).fit
        se = np.sqrt(np.diag(fit.covariance))
        same(fit.coefficients, [expected[ties]["coef"][column] for column in columns], rel=1e-6)
        same(se, [expected[ties]["se"][column] for column in columns], rel=1e-6)
    fit = cox(design, time, event).fit
    efron, se = expected["efron"], np.sqrt(np.diag(fit.covariance))
    same(fit.covariance, efron["vcov"], rel=1e-6)
    same(fit.coefficients / se, [efron["z"][column] for column in columns], rel=1e-6)
    reach = np.outer(se, [-1, 1]) * stats.norm.ppf(0.975)
    same(np.exp(fit.coefficients[:, None] + reach), [efron["hr_ci95"][column] for column in columns], rel=1e-6)
    null = null_log_likelihood(time, event)
    same([null, fit.log_likelihood], efron["loglik"])
    gain = 2 * (fit.log_likelihood - null)
    same([gain, stats.chi2.sf(gain, len(columns))], [efron["lr_chi2"], efron["lr_p"]])
    score = design @ fit.coefficients
    apparent = concordance_estimate(time, event, score)
    same([apparent.value, apparent.se], [expected["apparent_c"], expected["apparent_c_se"]])
    counts = concordance_counts(time, event, score)
    assert [counts.concordant, counts.discordant, counts.tied_score] == [
        expected["counts"][key] for key in ("concordant", "discordant", "tied_score")
    ]
    # R centres the linear predictor of a fit at the mean of a column, but leaves 0/1 columns alone
    centred = ~np.isin(design, (0, 1)).all(axis=0)
    for fold_column, wanted in expected["cv_with_given_folds"].items():
        folds, plain, shifted, within = data[fold_column].to_numpy(), np.zeros(len(data)), np.zeros(len(data)), []
        for fold, coefficients in enumerate(wanted["fold_coefs"], start=1):
            test = folds == fold
            beta = cox(design[~test], time[~test], event[~test]).fit.coefficients
            same(beta, coefficients, rel=1e-6)
            plain[test] = design[test] @ beta
            shifted[test] = plain[test] - (design[~test].mean(axis=0) * centred) @ beta
            within.append(concordance(time[test], event[test], plain[test]))
        same(within, wanted["fold_c"])
        same(np.mean(within), wanted["mean_fold_c"])
        same(concordance(time, event, plain), wanted["pooled_c_uncentered_lp"])
        same(concordance(time, event, shifted), wanted["pooled_c_centered_lp"])


@pytest.mark.parametrize("name", case_ids("calibration"))
def test_calibration(name: str) -> None:
    case, data = load(name)
    expected, event, risk = case["expected"], data["y"], data["p"]
    found = calibration_binary(event, risk)
    # the apparent fit's intercept is 0 but for rounding: an absolute 1e-12 there
    for estimate, key in (
        (found.intercept, "intercept"), (found.slope, "slope"), (found.in_the_large, "calibration_in_the_large"),
    ):  # fmt: skip
        assert estimate.value == pytest.approx(expected[key], rel=1e-10, abs=1e-12)
        same(estimate.se, expected[f"{key}_se"], rel=1e-6)
    same(found.observed_expected.value, expected["OE_ratio"])
    same([brier_score(event, risk), scaled_brier_score(event, risk)], [expected["brier"], expected["brier_scaled"]])
    same(roc_auc(event, risk), expected["auc"])
    rms = expected["val_prob"]
    same([found.ici, found.e90, found.emax], [rms[key] for key in ("Eavg", "E90", "Emax")])
    same(found.intercept.value, rms["Intercept"], rel=1e-1 if "apparent" in name else 1e-6)
    same(found.slope.value, rms["Slope"], rel=1e-6)
    overall = validation_indices(event, risk)
    same(
        [overall.r2, overall.discrimination, overall.discrimination_chi2], [rms[key] for key in ("R2", "D", "D:Chi-sq")]
    )
    same([overall.unreliability, overall.quality, overall.unreliability_p], [rms[key] for key in ("U", "Q", "U:p")])
    assert overall.unreliability_chi2 == pytest.approx(rms["U:Chi-sq"], rel=1e-10, abs=1e-12)
    same([overall.spiegelhalter_z, overall.spiegelhalter_p], [rms["S:z"], rms["S:p"]])
    # rms bins the risks before it takes the area: close, and not ours on purpose
    assert rms["C (ROC)"] == pytest.approx(expected["auc"], abs=0.006)


@pytest.mark.parametrize("name", case_ids("decision_curve_binary") + case_ids("decision_curve_survival"))
def test_decision_curve(name: str) -> None:
    case, data = load(name)
    args, expected = case["args"], case["expected"]
    for column in args["prob_columns"]:
        if "outcome" in args:
            found = net_benefit(data[args["outcome"]], data[column], args["thresholds"])
        else:
            survival = data[args["time"]], data[args["event"]]
            found = net_benefit_at_horizon(*survival, data[column], args["horizon"], args["thresholds"])
        same(found.net_benefit, expected[column]["net_benefit"])
        same(found.true_positive_rate, expected[column]["tp_rate"])
        same(found.false_positive_rate, expected[column]["fp_rate"])
        same(found.treat_all, expected["all"]["net_benefit"])


@pytest.mark.parametrize("name", case_ids("kendall_tau_b"))
def test_kendall(name: str) -> None:
    case, data = load(name)
    expected, columns = case["expected"], data[["x", "y"]].to_numpy(dtype=float)
    tau, p = kendall_tau_b_matrix(columns)
    same([tau[0, 1], p[0, 1]], [expected["tau_b"], expected["p_asymptotic"]])
    same(np.sign(tau[0, 1]) * stats.norm.isf(p[0, 1] / 2), expected["z"])
    if "p_exact" in expected:
        same(kendall_tau_b_matrix(columns, exact=True)[1][0, 1], number(expected["p_exact"]))
