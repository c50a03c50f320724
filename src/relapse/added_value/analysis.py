"""Every question of a cohort: trained for, measured, and adjusted for how many were asked."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from relapse.added_value.evidence import (
    AddedValue,
    Answer,
    FamilyEvidence,
    Group,
)
from relapse.added_value.measures import Measures, Tables
from relapse.added_value.protocol import Workbench
from relapse.added_value.questions import Question, Role, questions
from relapse.added_value.sites import left_out_sites
from relapse.candidates.catalogue import family
from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.schema import Cohort
from relapse.cohorts.size import counts
from relapse.evaluation.statistics.multiplicity import holm
from relapse.ground.errors import NoTrialError
from relapse.machinery import Machinery
from relapse.params import Params


def analyse(
    table: pd.DataFrame,
    cohort: Cohort,
    folds: pd.DataFrame,
    *,
    params: Params,
    machinery: Machinery,
    known: Mapping[str, pd.DataFrame] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> AddedValue:
    """Train and measure what every question of a cohort needs.

    Parameters
    ----------
    table
        Typed canonical table.
    folds
        Outer folds, the same that all candidates were measured on.
    params
        Sections ``added_value``, ``train``, ``evaluate`` and ``register`` are looked at.
    machinery
        Workers and backend; neither changes a figure.
    known
        Predictions of candidates that were trained on all predictors, on these folds: not made again.
    say
        Where the progress is told.
    """
    measured = Measures.of(table, cohort, params)
    bench = Workbench(table, cohort, folds, params.train, params.seed, machinery, known=known or {})
    sites = left_out_sites(table)
    away = sites and Workbench(
        table, cohort, sites.folds, params.train, params.seed, machinery, purpose="left_out_sites"
    )
    answers, failed = [], {}
    for question in questions(cohort):
        found = []
        able = [name for name in params.added_value.candidates if _learns(name, question)]
        if not able:
            failed[question.name] = (
                "no family of added_value.candidates learns from this block. For images add densenet121 to them, for "
                "features one of the others."
            )
        for place, name in enumerate(able):
            try:
                evidence = measured.family(name, question, bench.models(question, name))
                if sites and away and place == 0:
                    groups = tuple(measured.left_out(_left_out_models(away, question, name), sites.names))
                    evidence = _with_groups(evidence, groups)
            except NoTrialError as error:
                failed[f"{question.name}, {family(name).called(cohort)}"] = str(error)
                continue
            found.append(evidence)
        if found:
            answers.append(
                Answer(
                    name=question.name,
                    block=question.block,
                    base=question.base,
                    words=question.words,
                    block_features=len(question.block_features),
                    base_features=question.base_features,
                    families=tuple(found),
                )
            )
            say(f"{cohort.name}: {question.words} {len(found)} families")
    size = counts(table)
    return AddedValue(
        cohort=cohort.name,
        endpoint=measured.endpoint,
        rows=size.rows,
        patients=size.patients,
        patients_with_event=size.with_event,
        resamples=params.evaluate.resamples,
        answers=_adjusted(answers),
        failed=failed,
        seconds=bench.seconds | (away.seconds if away else {}),
    )


def _learns(candidate: str, question: Question) -> bool:
    """Whether a family learns from the block: one that sees images from images, the others from features."""
    return (IMAGE in question.block_features) if family(candidate).sees else set(question.block_features) != {IMAGE}


def _left_out_models(away: Workbench, question: Question, candidate: str) -> Tables:
    """The base, and the base with the block's score: what is measured where a site is left out."""
    return {Role.BASE: away.base(question), Role.SCORE: away.score(question, candidate)}


def _with_groups(evidence: FamilyEvidence, groups: tuple[Group, ...]) -> FamilyEvidence:
    additions = tuple(
        replace(item, groups=item.groups + groups) if item.role is Role.SCORE else item for item in evidence.additions
    )
    return replace(evidence, additions=additions)


def _adjusted(answers: list[Answer]) -> tuple[Answer, ...]:
    """The answers with p-values adjusted (Holm): the score tests over all families, the ranking tests over all ways."""
    scores = iter(_holm([item.p for answer in answers for item in answer.families]))
    rankings = iter(_holm([way.test.p for answer in answers for item in answer.families for way in item.additions]))
    return tuple(
        replace(
            answer,
            families=tuple(
                replace(
                    item,
                    p_holm=next(scores),
                    additions=tuple(replace(way, p_holm=next(rankings)) for way in item.additions),
                )
                for item in answer.families
            ),
        )
        for answer in answers
    )


def _holm(values: list[float]) -> list[float]:
    return [float(p) for p in holm(np.array(values))] if values else []
