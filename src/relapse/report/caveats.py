"""What a reader has to bear in mind, generated from what the cohort and the evidence are."""

from collections.abc import Mapping, Sequence
from typing import Any

from relapse.cohorts.schema import Cohort
from relapse.cohorts.size import for_parameters
from relapse.evaluation.evidence import Evidence
from relapse.wording import count


def caveats(cohort: Cohort, evidence: Evidence, records: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Headings and texts, the gravest first."""
    size, predictors = evidence.size, len(cohort.predictors)
    rarer = for_parameters(cohort, size)
    what = f"{'patient' if rarer == 1 else 'patients'} {'with' if rarer == size.with_event else 'without'} the event"
    found = [
        (
            "Internal validation only",
            "All figures come from cross-validation within this one cohort. How the models do in patients of another "
            "hospital, scanner or decade is not known until it is measured there.",
        ),
        (
            "Small numbers",
            f"There are {rarer} {what} for {count(predictors, 'predictor')}, {rarer / predictors:.1f} for each. "
            f"{_on_numbers(rarer)}",
        ),
        (
            "The best of several flatters",
            f"{count(len(evidence.candidates), 'candidate')} were compared on the same patients, and the one with the "
            "highest figure was picked by that figure. Part of its lead is luck; expect less in new patients.",
        ),
        (
            "What the intervals leave out",
            f"They resample patients and hold the predictions fixed{_on_repeats(records)}. What would change had the "
            "models been fitted to other patients is not in them.",
        ),
        (
            "Pooled predictions",
            "Predictions of the outer folds come from different fits and are pooled; the mean over the folds stands "
            "beside the pooled figure, and the two should be close.",
        ),
    ]
    for heading, findings in (
        ("Findings that the declaration silences", [item for item in evidence.findings if item.silenced]),
        ("Something looks wrong in the predictions", [item for item in evidence.findings if not item.silenced]),
    ):
        if findings:
            found.insert(0, (heading, " ".join(map(str, findings))))
    if evidence.endpoint.timed:
        found.append(
            (
                "Censoring",
                "Patients lost to follow-up are taken to have had the same prospects as those who stayed.",
            )
        )
    else:
        found.append(
            (
                "Length of follow-up",
                "A yes-or-no endpoint takes no account of how long each patient was followed: a patient followed "
                "briefly counts as free of the event.",
            )
        )
    if evidence.rows > evidence.patients:
        found.append(
            (
                "Several rows a patient",
                "Intervals and tests go by patient, McNemar's in its form for clustered data. Every figure still "
                "weighs a patient by the number of rows.",
            )
        )
    if cohort.site is None:
        found.append(("Sites", "No hospital or scanner is recorded; whether results differ between them is unknown."))
    return found


def failures(failed: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is said of candidates (title to error) that could not be trained: they stand in no table."""
    return [(f"{title} is missing", f"It could not be trained: {error}") for title, error in failed.items()]


def omissions(left_out: Sequence[str]) -> list[tuple[str, str]]:
    """What is said of candidates (names of ``params.yaml``) that the budget leaves out."""
    names = ", ".join(left_out)
    why = f"This budget does not train {names}: whether one of them does better is not known (leaves_out, params.yaml)."
    return [("Not all candidates", why)] if left_out else []


def _on_numbers(events: int) -> str:
    if events < 100:
        return "A validation should have 100 at the very least; wide intervals are the honest result."
    return "Differences smaller than the intervals cannot be told from chance."


def _on_repeats(records: Mapping[str, Mapping[str, Any]]) -> str:
    drawn = {fold["repeat"] for record in records.values() for fold in record.get("folds", [])}
    if len(drawn) <= 1:
        return ", and the folds were drawn once"
    return f", averaged over {len(drawn)} drawings of the folds"
