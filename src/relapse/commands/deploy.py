"""The commands ``relapse deploy …``: serve a champion behind a door, and let the next one take over in steps."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relapse.ground.console import print_table, say

if TYPE_CHECKING:
    from relapse.deployment.place import Place

deploy = typer.Typer(help="Serve the champion, and let the next one take over in steps.", no_args_is_help=True)

Cohort = Annotated[str, typer.Argument(help="Name of a cohort, such as gbsg.")]
Bento = Annotated[Path | None, typer.Option(help="The Bento; that of the packaged champion by default.")]

#: Seconds between two looks at the record.
_LOOK = 0.2


@deploy.command()
def serve(
    cohort: Cohort,
    bento: Bento = None,
    host: Annotated[str, typer.Option(help="Where it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
) -> None:
    """Serve a cohort's Bento behind a door through which the next one can take over; runs until it is ended.

    What was served last here is served again; --bento is for the first time. The variables of the service hold.
    """
    from relapse.deployment.door import serve as open_door
    from relapse.deployment.place import Place
    from relapse.ground.workspace import Workspace
    from relapse.tracking.client import actor

    open_door(Place(cohort), bento or Workspace(cohort).bento, host=host, port=port, who=actor())


@deploy.command()
def start(
    cohort: Cohort,
    bento: Bento = None,
    keep_champion: Annotated[
        bool, typer.Option("--keep-champion", help="Leave the registry as it is where the new one is rolled back.")
    ] = False,
) -> None:
    """Let a Bento take over in the steps of change_plan.yaml (shadow, part, all), each smoke-tested.

    At the first failure the old one answers everybody again, the record says why, and where the new one is the
    registry's champion that is rolled back, too. Exit status 0 where it took over or is served already, 1 where not.
    """
    import time

    from relapse.deployment.place import Place
    from relapse.deployment.record import read
    from relapse.ground.errors import DeploymentError
    from relapse.ground.files import write_json
    from relapse.ground.workspace import Workspace
    from relapse.tracking.client import actor

    place = Place(cohort)
    if not place.open:
        raise DeploymentError(f"{place.folder}: nothing is served there. Begin with: relapse deploy serve {cohort}")
    number = max(int(place.ordered().get("number", 0)), int(place.told().get("order", 0))) + 1
    wanted = (bento or Workspace(cohort).bento).resolve()
    shown = len(read(place.record))
    write_json(place.order, {"number": number, "bento": str(wanted), "who": actor()})
    last: dict[str, Any] = {}
    while True:
        events = read(place.record)
        for event in events[shown:]:
            _tell(event)
            last = event if event.get("order") == number else last
        shown = len(events)
        if last.get("event") in ("done", "unchanged", "rolled back", "refused"):
            break
        if not place.open:
            raise DeploymentError(
                f"{place.folder}: the door was closed before the new one took over. See {place.record}."
            )
        time.sleep(_LOOK)
    if last["event"] in ("done", "unchanged"):
        return
    if last["event"] == "rolled back" and not keep_champion:
        _roll_back(cohort, last)
    raise DeploymentError(
        f"relapse-{cohort}: {last['event']}: {last['because']}. What was served is served. {place.record}"
    )


@deploy.command()
def show(cohort: Cohort) -> None:
    """Show what is served and every event of the record, whose chain is checked."""
    from relapse.deployment.place import Place
    from relapse.deployment.record import read

    place = Place(cohort)
    rows = [
        [str(item["number"]), item["when"], item["who"], item["event"], item.get("new", ""), _said(item)]
        for item in read(place.record)
    ]
    told = place.told()
    say(f"relapse-{cohort}: {told.get('url', 'no door')}, {'at work' if place.open else 'closed'}, {_stage(place)}")
    print_table("Record", ["", "when", "who", "event", "release", "what"], rows)


def _stage(place: "Place") -> str:
    stage = place.told().get("stage", "old")
    return "one release answers everybody" if stage == "old" else f"a new release is at the stage {stage}"


def _tell(event: dict[str, Any]) -> None:
    said = _said(event)
    say(f"{event['when']} {event['event']}" + (f": {said}" if said else ""))


def _said(event: dict[str, Any]) -> str:
    if "because" in event:
        return str(event["because"])
    if "figures" in event:
        return ", ".join(f"{name} {value}" for name, value in event["figures"].items())
    return "; ".join(f"{item['name']} {item['found']}" for item in event.get("checks", ()))


def _roll_back(cohort: str, event: dict[str, Any]) -> None:
    """The registry's champion, where it is what was rolled back, makes room for the one before."""
    from relapse.ground.errors import RegistryError
    from relapse.machinery import machinery
    from relapse.tracking.client import connect
    from relapse.tracking.registry.models import PREVIOUS, champion_version, has_alias
    from relapse.tracking.registry.moves import digest_of, rollback
    from relapse.tracking.registry.receipts import renew

    client = connect(machinery())
    champion = champion_version(client, cohort)
    if champion is None or digest_of(champion)[:12] not in event["new"] or not has_alias(client, cohort, PREVIOUS):
        say("The registry's champion is another one, or the first; it was left as it is.")
        return
    try:
        done = rollback(client, machinery(), cohort, reason=f"deployment {event['order']}: {event['because']}")
    except RegistryError as error:
        say(f"The registry was left as it is: {error}")
        return
    say(f"relapse-{cohort}: version {done.to.version} is champion again (record {done.number})")
    if renew(client, cohort):
        say(f"`dvc repro package@{cohort}` packages it.")
