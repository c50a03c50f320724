"""What blocks of features add, as the report says it: the answer first, then the figures behind it."""

from dataclasses import dataclass

from relapse.added_value.evidence import AddedValue, Addition, Answer, FamilyEvidence
from relapse.added_value.frames import WAY_WORDS
from relapse.added_value.questions import Role, base_title
from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.schema import Cohort
from relapse.evaluation.statistics.results import Estimate, PairedTest
from relapse.report.page.tables import Cell, estimate_cell
from relapse.wording import SIGNIFICANCE, count, horizon_words, interval, listing, number, p_equals, p_value

#: How the models of a question are called.
_ROLES = {Role.BASE: "without the block", Role.BLOCK: "the block alone"}


@dataclass(frozen=True, slots=True)
class Told:
    """One question of the section: its name, question and answer, the sentences behind it, and its tables."""

    name: str
    question: str
    verdict: str
    behind: list[str]
    models: list[tuple[str, str, list[Cell]]]
    differences: list[tuple[str, list[Cell], str, str]]
    scores: list[tuple[str, Cell, str, str, str]]
    reclassified: list[tuple[str, str, list[Cell]]]
    calibrations: list[tuple[str, str, list[Cell]]]


def told(found: AddedValue | None, cohort: Cohort) -> list[Told]:
    """Everything that the section says, a question after the other; empty where no block is declared."""
    return [_question(found, answer, cohort) for answer in found.answers] if found else []


def title(found: AddedValue | None, cohort: Cohort) -> str:
    """The section's heading, such as "What does “imaging” add?"."""
    names = list(dict.fromkeys(f"“{cohort.block_title(item.block)}”" for item in found.answers)) if found else []
    return f"What {'does' if len(names) == 1 else 'do'} {listing(names)} add?" if names else ""


def difference_columns(found: AddedValue) -> list[str]:
    """The metrics whose differences are shown, beside the ranking metric."""
    return [metric.label for metric in found.endpoint.metrics if _compared(metric.key, found)]


def _compared(key: str, found: AddedValue) -> bool:
    return key != found.primary and key.startswith(("auc", "brier"))


def _question(found: AddedValue, answer: Answer, cohort: Cohort) -> Told:
    base, block = base_title(cohort, answer.base), f"“{cohort.block_title(answer.block)}”"
    return Told(
        answer.name,
        answer.words,
        verdict(answer, base=base, block=block),
        _behind(found, answer, base=base, block=block, made_of=_inputs(answer, cohort, block=block)),
        [row for item in answer.families for row in _models(found, item, first=item is answer.leading)],
        [_difference(found, item, way) for item in answer.families for way in item.additions],
        [_score(item) for item in answer.families],
        [
            (f"{item.title}, {WAY_WORDS[way.role]}", horizon_words(one.label), cells)
            for item in answer.families
            for way in item.additions
            for one in way.reclassification.values()
            for cells in [[estimate_cell(part.total) for part in (one.continuous, one.categorical, one.idi)]]
        ],
        _calibrations(answer),
    )


def verdict(answer: Answer, *, base: str, block: str) -> str:
    """The answer in one sentence, claiming what was shown and nothing more."""
    names = [item.title for item in answer.families if item.shown]
    if names:
        return f"{block} was shown to add to {base}, with the score of {listing(names)}."
    return f"{block} was not shown to add to {base}."


def _inputs(answer: Answer, cohort: Cohort, *, block: str) -> str:
    """What a block's score is made of."""
    if cohort.block_inputs(answer.block) == [IMAGE]:
        return f"the images of {block}"
    images = " and images" if IMAGE in cohort.block_inputs(answer.block) else ""
    return f"{count(answer.block_features - bool(images), 'feature')}{images} of {block}"


def _behind(found: AddedValue, answer: Answer, *, base: str, block: str, made_of: str) -> list[str]:
    """The numbers behind the answer, of the family that speaks loudest for the block; ``made_of`` is what it is of."""
    best = min(answer.families, key=lambda item: (item.p_holm, item.p))
    way, label = best.addition(Role.SCORE), found.primary_label
    before, after = (best.model(role).metrics[found.primary] for role in (Role.BASE, Role.SCORE))
    said = [
        f"{label} of {base} alone was {_with_interval(before)}; with the score that {best.title} makes of "
        f"{made_of} beside it, {_with_interval(after)}: a difference of "
        f"{number(way.test.difference)} (95% interval {interval(way.test.lower, way.test.upper)}; "
        f"{p_equals(way.test.p)}, {p_equals(way.p_holm)} after Holm's adjustment).",
        f"Beside the covariates of {base}, one standard deviation of the score that a patient got from models which "
        f"had not seen her goes with a ratio of {number(best.score_test.ratio.value, 2)} (95% interval "
        f"{number(best.score_test.ratio.lower, 2)} to {number(best.score_test.ratio.upper, 2)}); the answer rests on "
        f"the one-sided test of it that allows for scores having been made from each other's patients, "
        f"{p_equals(best.p)}, {p_equals(best.p_holm)} after Holm's adjustment over all questions and families.",
        f"{block} alone: {_with_interval(best.model(Role.BLOCK).metrics[found.primary])}.",
    ]
    within = [best.model(role).within_sites for role in (Role.BASE, Role.SCORE)]
    if within[0] and within[1]:
        said.append(
            f"Over pairs of patients of one site, which a site's own relapse rate cannot help: {base} "
            f"{_with_interval(within[0])}, with the score {_with_interval(within[1])}."
        )
    away = [group for group in answer.leading.addition(Role.SCORE).groups if group.kind == "left out" and group.test]
    if away:
        better = sum(group.test.difference > 0 for group in away if group.test)
        said.append(
            f"Of {count(len(away), 'site')} left out of training and large enough to be measured, the score made the "
            f"ranking better in {better}."
        )
    if not answer.shown and any(item.test.p < SIGNIFICANCE for item in best.additions if item.test.difference > 0):
        said.append("A single test below 0.05 among so many is no answer.")
    return said


def _models(found: AddedValue, item: FamilyEvidence, *, first: bool) -> list[tuple[str, str, list[Cell]]]:
    """Family, model and every headline metric; the base, which all families share, is listed once."""
    shown = [metric.key for metric in found.endpoint.metrics if metric.headline]
    rows = []
    for model in item.models:
        if model.role is Role.BASE and not first:
            continue
        words = _ROLES.get(model.role) or WAY_WORDS[model.role]
        family = "Regression" if model.role is Role.BASE else item.title
        rows.append((family, words, [estimate_cell(model.metrics[key]) for key in shown]))
    return rows


def _difference(found: AddedValue, item: FamilyEvidence, way: Addition) -> tuple[str, list[Cell], str, str]:
    cells = [_test_cell(way.test)]
    for metric in found.endpoint.metrics:
        if _compared(metric.key, found):
            cells.append(estimate_cell(way.differences[metric.key]))
    cells.append(_fine(way.net_benefit.mean))
    return f"{item.title}, {WAY_WORDS[way.role]}", cells, p_value(way.test.p), p_value(way.p_holm)


def _score(item: FamilyEvidence) -> tuple[str, Cell, str, str, str]:
    ratio = item.score_test.ratio
    cell = Cell(number(ratio.value, 2), f"{number(ratio.lower, 2)} to {number(ratio.upper, 2)}")
    return item.title, cell, p_value(item.score_test.p), p_value(item.p), p_value(item.p_holm)


def _calibrations(answer: Answer) -> list[tuple[str, str, list[Cell]]]:
    """Slope and observed over expected before and after, of the leading family."""
    rows = []
    for role in (Role.BASE, Role.SCORE, Role.JOINT):
        words = _ROLES.get(role) or f"{answer.leading.title}, {WAY_WORDS[role]}"
        for one in answer.leading.model(role).calibration.values():
            when = horizon_words(one.label.removeprefix("at ")) if one.label else ""
            cells = [estimate_cell(one.slope), estimate_cell(one.observed_expected), Cell(number(one.ici))]
            rows.append((words, when, cells))
    return rows


def _test_cell(test: PairedTest) -> Cell:
    return Cell(number(test.difference), interval(test.lower, test.upper))


def _fine(estimate: Estimate) -> Cell:
    """With a digit more: net benefit is counted in patients out of a thousand."""
    return Cell(number(estimate.value, 4), f"{number(estimate.lower, 4)} to {number(estimate.upper, 4)}")


def _with_interval(estimate: Estimate) -> str:
    return f"{number(estimate.value)} (95% interval {interval(estimate.lower, estimate.upper)})"
