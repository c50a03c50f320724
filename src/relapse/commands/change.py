"""The commands ``relapse change …``: what differs from the champion, and reviews of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relapse.ground.console import print_table, say

if TYPE_CHECKING:
    from relapse.promotion.decision import Changes

#: Exit status where a difference needs a review.
NEEDS_REVIEW = 4

change = typer.Typer(help="Change control: what differs from the champion, and its review.", no_args_is_help=True)

Cohort = Annotated[str, typer.Argument(help="Name of a cohort, such as gbsg.")]


@change.command()
def check(
    cohort: Cohort,
    out: Annotated[Path | None, typer.Option(help="Write the differences as JSON there.")] = None,
) -> None:
    """Say how the project differs from the champion's record, and what of it change_plan.yaml lets pass.

    Compared is what the pipeline read and trained last (`dvc repro`). Exit status 0 where every difference may pass
    without review, or has been reviewed; 4 where one needs a review.
    """
    from relapse.ground.workspace import Workspace
    from relapse.machinery import machinery
    from relapse.params import read_params
    from relapse.tracking.changes.present import changes
    from relapse.tracking.client import connect
    from relapse.tracking.publishing.source import Source
    from relapse.tracking.registry.models import CHALLENGER, CONTENT, has_alias, version_called

    client, at, params = connect(machinery()), Workspace(cohort), read_params()
    decision = _decided(at)
    current = bool(decision) and decision["content_hash"] == Source.of(at, params).content_hash
    found = changes(client, at, params, decision["challenger"] if current else "")
    record = None
    if current and has_alias(client, cohort, CHALLENGER):
        version = version_called(client, cohort, CHALLENGER)
        if version.tags.get(CONTENT) == decision["content_hash"]:
            record = _review_of(client, version)
    _tell(cohort, found)
    if out is not None:
        _write(out, cohort, found, record)
    if found.to_review and record is None:
        say(f"{len(found.to_review)} of {len(found.found)} differences need a review: relapse change review {cohort}")
        raise typer.Exit(NEEDS_REVIEW)
    if found.to_review and record:
        say(f"reviewed by {record['who']}, {record['when']}: {record['reason']}")
    else:
        say(f"{len(found.found)} differences, all within the plan")


@change.command()
def review(
    cohort: Cohort,
    reason: Annotated[str, typer.Option(help="What was looked at, and why the changes are accepted.")],
    version: Annotated[str, typer.Argument(help="A version's number, or challenger.")] = "challenger",
) -> None:
    """Record that a person has reviewed how a version differs from the champion; the promotion is then no longer held.

    Who says so is RELAPSE_ACTOR, or the login name. Nothing is promoted by it.
    """
    from relapse.commands.registry import described
    from relapse.machinery import machinery
    from relapse.tracking.changes.reviews import review as write_down
    from relapse.tracking.client import connect
    from relapse.tracking.registry.models import version_called

    client = connect(machinery())
    found = version_called(client, cohort, version)
    _, decision = described(client, cohort, str(found.version))
    record = write_down(client, found, decision, reason=reason)
    for item in (decision.get("changes") or {"found": []})["found"]:
        if item["review"]:
            say(f"  {item['kind']}: {item['what']}: {item['before']} → {item['now']}")
    say(f"relapse-{cohort} version {found.version}: reviewed by {record['who']}, {record['when']}")


def _decided(at: Any) -> dict[str, Any]:
    from relapse.ground.files import read_json

    return read_json(at.decision) if at.decision.is_file() else {}


def _review_of(client: Any, version: Any) -> dict[str, Any] | None:
    from relapse.commands.registry import described
    from relapse.tracking.changes.reviews import held, reviewed

    cohort = version.name.removeprefix("relapse-")
    _, decision = described(client, cohort, str(version.version))
    return None if held(client, version, decision) else reviewed(client, version)


def _tell(cohort: str, found: "Changes") -> None:
    rows = [
        [item.kind, item.what, item.before, item.now, "review" if item.review else "passes", item.because]
        for item in found.found
    ]
    title = f"relapse-{cohort}: differences from the champion, version {found.champion}"
    print_table(title, ["kind", "what", "champion", "now", "by the plan", "because"], rows)


def _write(out: Path, cohort: str, found: "Changes", record: dict[str, Any] | None) -> None:
    from dataclasses import asdict

    from relapse.ground.files import write_json

    needed = bool(found.to_review) and record is None
    write_json(out, {"cohort": cohort, **asdict(found), "needs_review": needed, "review": record})
    say(f"Written: {out}")
