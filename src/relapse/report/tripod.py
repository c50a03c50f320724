"""TRIPOD+AI filled from what was really run, with an honest "needs you" where no pipeline can know.

An item answered in the cohort's declaration is quoted; one that the evidence answers is written from it and names the
section that shows it. The items are in :mod:`relapse.cohorts.checklist`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from relapse.cohorts.checklist import ITEMS, Item
from relapse.cohorts.schema import Categorical
from relapse.documents import Document, Section, Table
from relapse.report.answer import with_interval
from relapse.report.material import Material
from relapse.report.wording import count, horizon_words, listing


class Status(StrEnum):
    """Whether an item is answered, and by whom."""

    SHOWN = "shown"
    PARTLY = "partly: needs you"
    DECLARED = "declared"
    NEEDS_YOU = "needs you"
    NOT_APPLICABLE = "does not apply"


@dataclass(frozen=True, slots=True)
class Answer:
    """One item with its answer; ``where`` names sections of the report by their anchors."""

    item: Item
    status: Status
    text: str
    where: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """What the evidence says on an item; ``whole`` where nothing is left for people to add."""

    text: str
    where: tuple[str, ...] = ()
    whole: bool = True
    applies: bool = True


def checklist(material: Material) -> list[Answer]:
    """Answer all items, in the checklist's order."""
    return [_answer(item, material) for item in ITEMS]


def tally(answers: list[Answer]) -> dict[Status, int]:
    """How many items have each status."""
    return {status: sum(answer.status is status for answer in answers) for status in Status}


def checklist_document(material: Material) -> Document:
    """The filled checklist, with links to sections of ``report.html``."""
    answers = checklist(material)
    counted = ", ".join(f"{found} {status.value}" for status, found in tally(answers).items() if found)
    sections = [
        Section(
            "How much is answered",
            (
                f"{len(answers)} entries of 27 items: {counted}. What needs you cannot be known from data and "
                "code; answer it in the cohort's declaration under tripod, by its number.",
                "Collins GS et al. TRIPOD+AI statement. BMJ 2024;385:e078378. Items are shortened.",
            ),
        )
    ]
    for name in dict.fromkeys(answer.item.section for answer in answers):
        rows = tuple(
            (
                f"{answer.item.number} {answer.item.topic}",
                answer.status.value,
                answer.text,
                ", ".join(f"report.html#{anchor}" for anchor in answer.where),
            )
            for answer in answers
            if answer.item.section == name
        )
        sections.append(Section(name, (), Table(("Item", "Status", "Answer", "Shown in"), rows)))
    return Document(f"TRIPOD+AI: {material.cohort.title}", tuple(sections))


def _answer(item: Item, material: Material) -> Answer:
    declared = material.cohort.tripod.get(item.number, "").strip()
    found = _EVIDENCE[item.number](material) if item.number in _EVIDENCE else None
    if found is None:
        text = declared or f"{item.asked} Not known to the pipeline."
        return Answer(item, Status.DECLARED if declared else Status.NEEDS_YOU, text)
    if not found.applies and not declared:
        return Answer(item, Status.NOT_APPLICABLE, found.text, found.where)
    status = Status.SHOWN if found.whole or declared else Status.PARTLY
    return Answer(item, status, " ".join(part for part in (declared, found.text) if part), found.where)


def _title(m: Material) -> _Found:
    return _Found(
        f"Development and internal validation of {count(len(m.evidence.candidates), 'model')} predicting "
        f"{m.cohort.endpoint.label}; cohort: {m.cohort.title}.",
        ("answer",),
    )


def _objectives(m: Material) -> _Found:
    return _Found(
        "To develop models and to validate them internally, each against the clinical reference. No external "
        "validation is part of this report.",
        ("answer", "caveats"),
        whole=False,
    )


def _source(m: Material) -> _Found:
    return _Found(
        f"Read from {m.flow['source']} ({m.flow['fingerprint']}). {m.cohort.citation}",
        ("source",),
        whole=False,
    )


def _setting(m: Material) -> _Found:
    site = f"The column {m.cohort.site} names the centre." if m.cohort.site else "No centre is recorded in the data."
    return _Found(site, ("patients",), whole=False)


def _eligibility(m: Material) -> _Found:
    excluded = "; ".join(f"{item['rows']} rows: {item['reason']}" for item in m.flow["excluded"] if item["rows"])
    return _Found(f"Left out by declared rules: {excluded or 'nobody'}.", ("patients",), whole=False)


def _preparation(m: Material) -> _Found:
    kept = sum(verdict["passed"] for verdict in m.gate["verdicts"])
    return _Found(
        f"The table kept {kept} of {len(m.gate['verdicts'])} rules derived from the declaration (types, ranges, "
        "levels, missing values, one outcome a patient), the same for all groups; checks for leakage reported "
        f"{count(len(m.gate['findings']), 'finding')}. Encoding and imputation were fitted inside each fold.",
        ("patients", "methods"),
    )


def _outcome(m: Material) -> _Found:
    survival = m.cohort.survival
    if survival:
        when = listing([horizon_words(item.label) for item in survival.horizons])
        text = f"{m.cohort.endpoint.label}, as time to event; risks are given at {when}."
    else:
        text = f"{m.cohort.endpoint.label}, yes or no, without a time."
    return _Found(
        f"{text[:1].upper()}{text[1:]} How it was assessed is not known to the pipeline.", ("answer",), whole=False
    )


def _choice(m: Material) -> _Found:
    return _Found(
        f"All {len(m.cohort.predictors)} declared features known at baseline; none was selected by its relation to the "
        f"outcome before modelling. The clinical reference uses {_named(m, m.cohort.reference)}.",
        ("dictionary",),
        whole=False,
    )


def _definitions(m: Material) -> _Found:
    described = sum(bool(m.cohort.features[name].description) for name in m.cohort.predictors)
    return _Found(
        f"Type, unit and allowed values of each are in the data dictionary; {described} of "
        f"{len(m.cohort.predictors)} carry a description.",
        ("dictionary",),
        whole=False,
    )


def _size(m: Material) -> _Found:
    rarer = _rarer(m)
    return _Found(
        f"No calculation was made beforehand. There are {rarer} of the rarer outcome for {len(m.cohort.predictors)} "
        f"predictors, {rarer / len(m.cohort.predictors):.1f} for each.",
        ("caveats",),
        whole=False,
    )


def _missing(m: Material) -> _Found:
    return _Found(
        "Filled in with the median or the most frequent level of the training part of each fold; nobody was left out "
        "for a missing predictor beyond the declared rules.",
        ("methods", "patients"),
    )


def _use(m: Material) -> _Found:
    return _Found(
        "Nested cross-validation: outer folds only measure, inner folds tune, choose thresholds and recalibrate. Rows "
        "of one patient never stand on both sides of a split.",
        ("methods",),
    )


def _handling(m: Material) -> _Found:
    numbers = sum(not isinstance(m.cohort.features[name], Categorical) for name in m.cohort.predictors)
    return _Found(
        f"{count(numbers, 'numeric feature')} standardised (or Yeo-Johnson transformed where the search chose so), "
        "ordinal levels as ranks, nominal levels as indicators, all fitted inside the fold.",
        ("methods", "dictionary"),
    )


def _building(m: Material) -> _Found:
    names = listing([record["title"] for record in m.records.values()])
    return _Found(f"{names}; search spaces, trials and chosen values are listed.", ("methods",))


def _clusters(m: Material) -> _Found:
    if m.cohort.site is None:
        return _Found("No centre is recorded, so differences between centres could not be looked at.", applies=False)
    return _Found(f"Folds were balanced over {m.cohort.site}.", ("methods",), whole=False)


def _measures(m: Material) -> _Found:
    labels = listing([metric.label for metric in m.evidence.endpoint.metrics])
    methods = sorted({item.test.method for item in m.evidence.comparisons})
    compared = f"paired tests: {listing(methods)}, Holm-adjusted" if methods else "no second model to compare with"
    return _Found(
        f"{labels}, calibration and decision curves; {compared}.",
        ("results", "calibration", "usefulness"),
    )


def _updating(m: Material) -> _Found:
    if m.evidence.endpoint.timed:
        return _Found("None.", ("methods",))
    return _Found("Platt or isotonic recalibration where it lowered the log-loss on inner folds.", ("methods",))


def _calculated(m: Material) -> _Found:
    return _Found("By the fitted model of each outer fold, for the rows of that fold alone.", ("methods",))


def _imbalance(m: Material) -> _Found:
    if m.evidence.endpoint.timed:
        return _Found("The endpoint is a time; nothing was resampled or weighted.", applies=False)
    smote = "SMOTENC inside the training part of a fold, " if m.cohort.imbalance == "smotenc" else ""
    return _Found(
        f"The search chose among {smote}class weights and nothing; risks were recalibrated on inner predictions of "
        "patients as they are.",
        ("methods", "calibration"),
    )


def _fairness(m: Material) -> _Found:
    if not m.cohort.subgroups:
        return _Found("No subgroup is declared, so that none was looked at.", whole=False)
    names = _named(m, m.cohort.subgroups)
    return _Found(f"Performance was looked at by {names}; no model was changed for it.", ("subgroups",), whole=False)


def _output(m: Material) -> _Found:
    if m.evidence.endpoint.timed:
        return _Found("Risk at each horizon and a ranking score; no classification.", ("calibration",))
    return _Found(
        "Recalibrated risk, and a call at the threshold with the largest sensitivity + specificity on inner folds.",
        ("methods",),
    )


def _differences(m: Material) -> _Found:
    return _Found("None: both come from the same cohort by cross-validation.", ("caveats",))


def _flow(m: Material) -> _Found:
    e = m.evidence
    return _Found(
        f"{m.flow['rows_read']} rows read, {m.flow['rows_kept']} kept, of {count(m.flow['patients_kept'], 'patient')}; "
        f"{e.events} with the event.",
        ("patients",),
    )


def _characteristics(m: Material) -> _Found:
    return _Found("Table 1 gives all patients and both outcomes, with missing values.", ("patients",), whole=False)


def _analysed(m: Material) -> _Found:
    e = m.evidence
    return _Found(
        f"{count(e.rows, 'row')}, {e.events} with the event, in development and, fold by fold, in evaluation; each "
        "model was tuned and fitted on the other folds.",
        ("results",),
    )


def _specification(m: Material) -> _Found:
    return _Found(
        "The fitted champion is in the registry as a bundle (weights, encoder, declaration, digests) and is served by "
        "an interface that takes one patient or many.",
        ("decision",),
    )


def _performance(m: Material) -> _Found:
    metric = m.evidence.endpoint.metrics[0]
    estimate = m.evidence.candidate(m.champion).metrics[metric.key]
    return _Found(
        f"{m.titles[m.champion]}: {metric.label} {with_interval(estimate)}. All candidates, metrics and "
        "subgroups are tabled.",
        ("results", "subgroups") if m.cohort.subgroups else ("results",),
    )


def _between(m: Material) -> _Found:
    return _Found("Not examined.", applies=m.cohort.site is not None, whole=False)


def _updated(m: Material) -> _Found:
    return _Found("None was made after the evaluation.", applies=False)


def _interpretation(m: Material) -> _Found:
    return _Found(str(m.decision["summary"]), ("answer", "decision"), whole=False)


def _limitations(m: Material) -> _Found:
    return _Found(
        "Generated from the numbers: size, selection, censoring, validation within one cohort.",
        ("caveats",),
        whole=False,
    )


def _poor_input(m: Material) -> _Found:
    return _Found(
        "The service refuses values outside the declared ranges and levels, fills declared missing values in, and says "
        "so with each answer, as it does for patients unlike those it was trained on.",
        ("dictionary",),
        whole=False,
    )


def _shared_code(m: Material) -> _Found:
    return _Found(
        "This report names the versions, the seed and the content hash it was made from.", ("methods",), whole=False
    )


def _shared_data(m: Material) -> _Found:
    return _Found(f"Licence: {m.cohort.licence}.", ("source",), whole=False)


def _next(m: Material) -> _Found:
    return _Found(
        "External validation, in another hospital and a later period, comes first.", ("caveats",), whole=False
    )


def _same_cohort(m: Material) -> _Found:
    return _Found("Development and evaluation use the same patients, by cross-validation.", applies=False)


def _named(m: Material, features: tuple[str, ...]) -> str:
    return listing([m.cohort.label(name) for name in features])


def _rarer(m: Material) -> int:
    e = m.evidence
    return e.events if e.endpoint.timed else min(e.events, e.rows - e.events)


_EVIDENCE: Mapping[str, Callable[[Material], _Found]] = {
    "1": _title,
    "4": _objectives,
    "5a": _source,
    "6a": _setting,
    "6b": _eligibility,
    "7": _preparation,
    "8a": _outcome,
    "9a": _choice,
    "9b": _definitions,
    "10": _size,
    "11": _missing,
    "12a": _use,
    "12b": _handling,
    "12c": _building,
    "12d": _clusters,
    "12e": _measures,
    "12f": _updating,
    "12g": _calculated,
    "13": _imbalance,
    "14": _fairness,
    "15": _output,
    "16": _differences,
    "18e": _shared_data,
    "18f": _shared_code,
    "20a": _flow,
    "20b": _characteristics,
    "20c": _same_cohort,
    "21": _analysed,
    "22": _specification,
    "23a": _performance,
    "23b": _between,
    "24": _updated,
    "25": _interpretation,
    "26": _limitations,
    "27a": _poor_input,
    "27c": _next,
}
