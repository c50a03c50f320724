"""What a cohort's own files say on each item of the TRIPOD+AI checklist: a function an item, and their list."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.size import for_parameters
from relapse.report.material import Material
from relapse.report.missing import in_words
from relapse.report.page.answer import with_interval
from relapse.wording import count, horizon_words, listing, people


@dataclass(frozen=True, slots=True)
class Found:
    """What the evidence says on an item; ``whole`` where nothing is left for people to add."""

    text: str
    where: tuple[str, ...] = ()
    whole: bool = True
    applies: bool = True


def _title(m: Material) -> Found:
    return Found(
        f"Development and internal validation of {count(len(m.evidence.candidates), 'model')} predicting "
        f"{m.cohort.endpoint.label}; cohort: {m.cohort.title}.",
        ("answer",),
    )


def _source(m: Material) -> Found:
    return Found(
        f"Read from {m.flow['source']} ({m.flow['fingerprint']}). {m.cohort.citation}",
        ("source",),
        whole=False,
    )


def _setting(m: Material) -> Found:
    site = f"The column {m.cohort.site} names the centre." if m.cohort.site else "No centre is recorded in the data."
    return Found(site, ("patients",), whole=False)


def _eligibility(m: Material) -> Found:
    excluded = "; ".join(f"{item['rows']} rows: {item['reason']}" for item in m.flow["excluded"] if item["rows"])
    joined = "".join(
        f" Joined to {item['source']}: {count(item['matched'], 'patient')}; {item['without']} not in it, "
        f"{item['not_ours']} only in it."
        for item in m.flow.get("joined", ())
    )
    return Found(f"Left out by declared rules: {excluded or 'nobody'}.{joined}", ("patients",), whole=False)


def _preparation(m: Material) -> Found:
    kept = sum(verdict["passed"] for verdict in m.gate["verdicts"])
    silent = sum(bool(item["silenced"]) for item in (*m.gate["verdicts"], *m.gate["findings"]))
    silenced = f" ({silent} silenced with a reason, in the section on patients)" if silent else ""
    return Found(
        f"The table kept {kept} of {len(m.gate['verdicts'])} rules derived from the declaration (types, ranges, "
        "levels, missing values, one outcome a patient), the same for all groups; checks for leakage and size reported "
        f"{count(len(m.gate['findings']), 'finding')}{silenced}. Encoding and imputation were fitted inside each fold.",
        ("patients", "methods"),
    )


def _outcome(m: Material) -> Found:
    survival = m.cohort.survival
    if survival:
        when = listing([horizon_words(item.label) for item in survival.horizons])
        text = f"{m.cohort.endpoint.label}, as time to event; risks are given at {when}."
    else:
        text = f"{m.cohort.endpoint.label}, yes or no, without a time."
    return Found(
        f"{text[:1].upper()}{text[1:]} How it was assessed is not known to the pipeline.", ("answer",), whole=False
    )


def _choice(m: Material) -> Found:
    return Found(
        f"All {len(m.cohort.predictors)} declared features known at baseline; none was selected by its relation to the "
        f"outcome before modelling.{_reductions(m)} The clinical reference uses {_named(m, m.cohort.reference)}.",
        ("dictionary",),
        whole=False,
    )


def _reductions(m: Material) -> str:
    blocks = [
        f"{m.cohort.block_title(name)} ({', '.join(m.cohort.block_methods(name))})" for name in m.cohort.reducible
    ]
    if not blocks:
        return ""
    return f" What each of these blocks was reduced to was chosen and learnt inside the folds: {'; '.join(blocks)}."


def _definitions(m: Material) -> Found:
    described = sum(bool(m.cohort.features[name].description) for name in m.cohort.predictors)
    return Found(
        f"Type, unit and allowed values of each are in the data dictionary; {described} of "
        f"{len(m.cohort.predictors)} carry a description.",
        ("dictionary",),
        whole=False,
    )


def _size(m: Material) -> Found:
    rarer = for_parameters(m.cohort, m.evidence.size)
    of = "with the event" if m.cohort.survival else "of the rarer outcome"
    return Found(
        f"No calculation was made beforehand. There are {count(rarer, 'patient')} {of} for {len(m.cohort.predictors)} "
        f"predictors, {rarer / len(m.cohort.predictors):.1f} for each.",
        ("caveats",),
        whole=False,
    )


def _missing(m: Material) -> Found:
    tabled = (
        " What each candidate did is tabled." if any(record.get("missing") for record in m.records.values()) else ""
    )
    return Found(in_words(m.cohort) + tabled, ("methods", "patients"))


def _handling(m: Material) -> Found:
    numbers = sum(not isinstance(m.cohort.features[name], Categorical) for name in m.cohort.predictors)
    return Found(
        f"{count(numbers, 'numeric feature')} standardised (or Yeo-Johnson transformed where the search chose so), "
        "ordinal levels as ranks, nominal levels as indicators, all fitted inside the fold.",
        ("methods", "dictionary"),
    )


def _building(m: Material) -> Found:
    names = listing([record["title"] for record in m.records.values()])
    return Found(f"{names}; search spaces, trials and chosen values are listed.", ("methods",))


def _clusters(m: Material) -> Found:
    if m.cohort.site is None:
        return Found("No centre is recorded, so differences between centres could not be looked at.", applies=False)
    return Found(f"Folds were balanced over {m.cohort.site}.", ("methods",), whole=False)


def _measures(m: Material) -> Found:
    labels = listing([metric.label for metric in m.evidence.endpoint.metrics])
    methods = sorted({item.test.method for item in m.evidence.comparisons})
    compared = f"paired tests: {listing(methods)}, Holm-adjusted" if methods else "no second model to compare with"
    return Found(
        f"{labels}, calibration and decision curves; {compared}.",
        ("results", "calibration", "usefulness"),
    )


def _updating(m: Material) -> Found:
    if m.evidence.endpoint.timed:
        return Found("None.", ("methods",))
    return Found("Platt or isotonic recalibration where it lowered the log-loss on inner folds.", ("methods",))


def _imbalance(m: Material) -> Found:
    if m.evidence.endpoint.timed:
        return Found("The endpoint is a time; nothing was resampled or weighted.", applies=False)
    smote = "SMOTENC inside the training part of a fold, " if m.cohort.imbalance == "smotenc" else ""
    return Found(
        f"The search chose among {smote}class weights and nothing; risks were recalibrated on inner predictions of "
        "patients as they are.",
        ("methods", "calibration"),
    )


def _fairness(m: Material) -> Found:
    if not m.cohort.subgroups:
        return Found("No subgroup is declared, so that none was looked at.", whole=False)
    names = _named(m, m.cohort.subgroups)
    return Found(f"Performance was looked at by {names}; no model was changed for it.", ("subgroups",), whole=False)


def _output(m: Material) -> Found:
    if m.evidence.endpoint.timed:
        return Found("Risk at each horizon and a ranking score; no classification.", ("calibration",))
    return Found(
        "Recalibrated risk, and a call at the threshold with the largest sensitivity + specificity on inner folds.",
        ("methods",),
    )


def _flow(m: Material) -> Found:
    return Found(f"{count(m.flow['rows_read'], 'row')} read; kept: {people(m.evidence.size)}.", ("patients",))


def _analysed(m: Material) -> Found:
    return Found(
        f"{people(m.evidence.size)}: the same in development and, fold by fold, in evaluation; each model "
        "was tuned and fitted on the other folds.",
        ("results",),
    )


def _specified(m: Material) -> Found:
    given = m.regression is not None and m.regression["equation"] and not m.regression["equation"]["note"]
    baseline = "baseline survival at each horizon" if m.cohort.survival else "the intercept"
    equation = (
        f" The clinical reference is given in full, with its coefficients, centres and {baseline}." if given else ""
    )
    return Found(
        "The fitted champion is in the registry as a bundle (weights, encoder, declaration, digests) and is served by "
        f"an interface that takes one patient or many.{equation}",
        ("decision", "equation") if given else ("decision",),
    )


def _performance(m: Material) -> Found:
    metric = m.evidence.endpoint.primary
    estimate = m.evidence.candidate(m.put_forward).metrics[metric.key]
    return Found(
        f"{m.titles[m.put_forward]}: {metric.label} {with_interval(estimate)}. All candidates, metrics and "
        "subgroups are tabled.",
        ("results", "subgroups") if m.cohort.subgroups else ("results",),
    )


def _between(m: Material) -> Found:
    return Found("Not examined.", applies=m.cohort.site is not None, whole=False)


def _interpretation(m: Material) -> Found:
    return Found(str(m.decision["summary"]), ("answer", "decision"), whole=False)


def _shared_data(m: Material) -> Found:
    return Found(f"Licence: {m.cohort.licence}.", ("source",), whole=False)


def _named(m: Material, features: tuple[str, ...]) -> str:
    return listing([m.cohort.label(name) for name in features])


#: Items on which every report says the same: what the protocol is.
SAME: Mapping[str, Found] = {
    "4": Found(
        "To develop models and to validate them internally, each against the clinical reference. No external "
        "validation is part of this report.",
        ("answer", "caveats"),
        whole=False,
    ),
    "12a": Found(
        "Nested cross-validation: outer folds only measure, inner folds tune, choose thresholds and recalibrate. Rows "
        "of one patient never stand on both sides of a split.",
        ("methods",),
    ),
    "12g": Found("By the fitted model of each outer fold, for the rows of that fold alone.", ("methods",)),
    "16": Found("None: both come from the same cohort by cross-validation.", ("caveats",)),
    "20b": Found("Table 1 gives all patients and both outcomes, with missing values.", ("patients",), whole=False),
    "24": Found("None was made after the evaluation.", applies=False),
    "26": Found(
        "Generated from the numbers: size, selection, censoring, validation within one cohort.",
        ("caveats",),
        whole=False,
    ),
    "27a": Found(
        "The service refuses values outside the declared ranges and levels and asks for those that may not be missing; "
        "with others it does what was done in training, and says so with each answer, as it does for patients unlike "
        "those it was trained on.",
        ("dictionary",),
        whole=False,
    ),
    "18f": Found(
        "This report names the versions, the seed and the content hash it was made from.", ("methods",), whole=False
    ),
    "27c": Found(
        "External validation, in another hospital and a later period, comes first.", ("caveats",), whole=False
    ),
    "20c": Found("Development and evaluation use the same patients, by cross-validation.", applies=False),
}

#: Items on which the files of a cohort say something of their own.
OWN: Mapping[str, Callable[[Material], Found]] = {
    "1": _title,
    "5a": _source,
    "6a": _setting,
    "6b": _eligibility,
    "7": _preparation,
    "8a": _outcome,
    "9a": _choice,
    "9b": _definitions,
    "10": _size,
    "11": _missing,
    "12b": _handling,
    "12c": _building,
    "12d": _clusters,
    "12e": _measures,
    "12f": _updating,
    "13": _imbalance,
    "14": _fairness,
    "15": _output,
    "18e": _shared_data,
    "20a": _flow,
    "21": _analysed,
    "22": _specified,
    "23a": _performance,
    "23b": _between,
    "25": _interpretation,
}
