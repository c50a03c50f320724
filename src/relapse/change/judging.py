"""Differences under the plan: each is a change that passes, or one that a person has to review."""

from collections.abc import Sequence

from relapse.change.differences import Difference
from relapse.change.plan import REVIEW, Kind, Plan
from relapse.promotion.decision import Change, Changes, Version


def judged(found: Sequence[Difference], plan: Plan, *, champion: Version, digest: str) -> Changes:
    """What the plan says of every difference from the champion; ``digest`` is the SHA-256 of the plan's file."""
    return Changes(champion.version, digest, tuple(_change(item, plan) for item in found))


def _change(item: Difference, plan: Plan) -> Change:
    said = plan.of(item.kind)
    verdict, because = said.verdict, said.because
    limit = said.at_most
    if verdict != REVIEW and item.kind is Kind.DATA_APPENDED and limit is not None and (item.grown or 0) > limit:
        verdict = REVIEW
        because = f"{item.grown or 0:.0%} more patients, and at most {limit:.0%} may come without review"
    return Change(str(item.kind), item.what, item.before, item.now, verdict == REVIEW, because)
