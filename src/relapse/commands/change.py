"""The commands ``relapse change …``: what differs from the champion, and reviews of it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relapse.ground.console import print_table, say

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from relapse.params import Params
    from relapse.promotion.decision import Changes

#: Exit status where a difference needs a review.
NEEDS_REVIEW = 4

change = typer.Typer(help="Change control: what differs from the champion, and its review.", no_args_is_help=True)

Cohort = Annotated[str | None, typer.Argument(help="Name of a cohort; all of params.yaml by default.")]


@dataclass(frozen=True, slots=True)
class _Checked:
    """How a cohort differs from its champion, and the review of the version registered from it, where there is one."""

    cohort: str
    found: "Changes"
    review: dict[str, Any] | None

    @property
    def needs_review(self) -> bool:
        """Whether a person still has to look."""
        return bool(self.found.to_review) and self.review is None

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a JSON file."""
        said = {"cohort": self.cohort, "needs_review": self.needs_review, "review": self.review}
        return said | asdict(self.found)


@change.command()
def check(
    cohort: Cohort = None,
    out: Annotated[Path | None, typer.Option(help="Write the differences as JSON there.")] = None,
) -> None:
    """Say how the project differs from the champion's record, and what of it change_plan.yaml lets pass.

    Compared is what the pipeline read and trained last (`dvc repro`). Exit status 0 where every difference may pass
    without review, or has been reviewed; 4 where one needs a review. Cohorts without a champion are passed over.
    """
    from relapse.ground.files import write_json
    from relapse.machinery import machinery
    from relapse.params import read_params
    from relapse.tracking.client import connect

    client, params = connect(machinery()), read_params()
    names = [cohort] if cohort else [name for name in params.cohorts if _has_champion(client, name)]
    found = [_checked(client, name, params) for name in names]
    for item in found:
        _tell(item)
    needed = [item.cohort for item in found if item.needs_review]
    if out is not None:
        write_json(out, {"needs_review": bool(needed), "cohorts": [item.to_json() for item in found]})
        say(f"Written: {out}")
    if needed:
        raise typer.Exit(NEEDS_REVIEW)


@change.command()
def review(
    reason: Annotated[str, typer.Option(help="What was looked at, and why the changes are accepted.")],
    cohort: Cohort = None,
    version: Annotated[str, typer.Argument(help="A version's number, or challenger.")] = "challenger",
) -> None:
    """Record that a person has reviewed how a version differs from the champion; the promotion is then no longer held.

    Who says so is RELAPSE_ACTOR, or the login name. Nothing is promoted by it. Without a cohort, every challenger of
    params.yaml that is held is meant.
    """
    from relapse.machinery import machinery
    from relapse.params import read_params
    from relapse.tracking.client import connect
    from relapse.tracking.registry.models import has_alias

    client = connect(machinery())
    if cohort is not None:
        _review(client, cohort, version, reason)
        return
    for name in (name for name in read_params().cohorts if has_alias(client, name, version)):
        if _held(client, name, version):
            _review(client, name, version, reason)
        else:
            say(f"relapse-{name}: nothing of its {version} is held")


def _checked(client: "MlflowClient", cohort: str, params: "Params") -> _Checked:
    from relapse.ground.files import read_json
    from relapse.ground.workspace import Workspace
    from relapse.tracking.changes.present import changes
    from relapse.tracking.changes.reviews import reviewed
    from relapse.tracking.publishing.source import Source
    from relapse.tracking.registry.models import CHALLENGER, CONTENT, has_alias, version_called

    at = Workspace(cohort)
    decision: dict[str, Any] = read_json(at.decision) if at.decision.is_file() else {}
    current = bool(decision) and decision["content_hash"] == Source.of(at, params).content_hash
    found, record = changes(client, at, params, decision["challenger"] if current else ""), None
    if current and has_alias(client, cohort, CHALLENGER):
        version = version_called(client, cohort, CHALLENGER)
        if version.tags.get(CONTENT) == decision["content_hash"] and not _held(client, cohort, str(version.version)):
            record = reviewed(client, version)
    return _Checked(cohort, found, record)


def _review(client: "MlflowClient", cohort: str, version: str, reason: str) -> None:
    from relapse.commands.registry import described
    from relapse.tracking.changes.reviews import review as write_down
    from relapse.tracking.registry.models import version_called

    found = version_called(client, cohort, version)
    _, decision = described(client, cohort, str(found.version))
    record = write_down(client, found, decision, reason=reason)
    for item in (decision.get("changes") or {"found": []})["found"]:
        if item["review"]:
            say(f"  {item['kind']}: {item['what']}: {item['before']} → {item['now']}")
    say(f"relapse-{cohort} version {found.version}: reviewed by {record['who']}, {record['when']}")


def _held(client: "MlflowClient", cohort: str, version: str) -> bool:
    from relapse.commands.registry import described
    from relapse.tracking.changes.reviews import held
    from relapse.tracking.registry.models import version_called

    found = version_called(client, cohort, version)
    return _has_champion(client, cohort) and bool(held(client, found, described(client, cohort, str(found.version))[1]))


def _has_champion(client: "MlflowClient", cohort: str) -> bool:
    from relapse.tracking.registry.models import champion_version

    return champion_version(client, cohort) is not None


def _tell(item: _Checked) -> None:
    found, review = item.found, item.review
    rows = [
        [one.kind, one.what, one.before, one.now, "review" if one.review else "passes", one.because]
        for one in found.found
    ]
    title = f"relapse-{item.cohort}: differences from the champion, version {found.champion}"
    print_table(title, ["kind", "what", "champion", "now", "by the plan", "because"], rows)
    if item.needs_review:
        said = f"{len(found.to_review)} of {len(found.found)} differences need a review"
        say(f"{said}: relapse change review {item.cohort} --reason …")
    elif found.to_review and review:
        say(f"reviewed by {review['who']}, {review['when']}: {review['reason']}")
    else:
        say(f"{len(found.found)} differences, all within the plan")
