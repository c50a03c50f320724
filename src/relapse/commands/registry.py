"""The commands ``relapse registry …``: what is registered, which is champion, and how to go back."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relapse.ground.console import print_table, say

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from relapse.upkeep.relocate import Relocated

registry = typer.Typer(help="The registered models: list, show, promote, roll back, verify.", no_args_is_help=True)

Cohort = Annotated[str, typer.Argument(help="Name of a cohort, such as gbsg.")]
VersionName = Annotated[str, typer.Argument(help="A version's number, or champion, challenger, previous.")]


def _client() -> "MlflowClient":
    from relapse.machinery import machinery
    from relapse.tracking.client import connect

    return connect(machinery())


@registry.command(name="list")
def list_(
    cohort: Annotated[str | None, typer.Argument(help="Name of a cohort; all by default.")] = None,
) -> None:
    """List the registered versions, newest first, with their aliases and external validations."""
    from relapse.tracking.registry.models import CANDIDATE, cohorts, model_name, validations

    client = _client()
    for name in [cohort] if cohort else cohorts(client):
        model = model_name(name)
        aliases: dict[str, list[str]] = {}
        for alias, version in (client.get_registered_model(model).aliases if name in cohorts(client) else {}).items():
            aliases.setdefault(str(version), []).append(alias)
        found = sorted(client.search_model_versions(f"name = '{model}'"), key=lambda item: -int(item.version))
        print_table(
            model,
            ["version", "candidate", "registered", "alias", "decision", "external validation"],
            [
                [
                    str(item.version),
                    item.tags.get(CANDIDATE, "not ours"),
                    datetime.fromtimestamp(item.creation_timestamp / 1000, UTC).strftime("%Y-%m-%d %H:%M"),
                    ", ".join(sorted(aliases.get(str(item.version), []))),
                    {"true": "may be promoted", "false": "kept out"}.get(item.tags.get("relapse.promoted", ""), ""),
                    "; ".join(f"{on}: {text}" for on, text in validations(item).items()) or "none",
                ]
                for item in found
            ],
        )


@registry.command()
def show(cohort: Cohort, version: VersionName = "champion") -> None:
    """Show a version: what it is, the decision about it rule by rule, and the moves of the alias champion."""
    from relapse.tracking.registry.models import model_name, validations, version_called
    from relapse.tracking.registry.records import history
    from relapse.wording import people

    client = _client()
    found = version_called(client, cohort, version)
    manifest, decision = described(client, cohort, version)
    say(f"{model_name(cohort)} version {found.version}: {manifest.title}")
    say(people(manifest.size))
    say(f"content {manifest.content_hash}, commit {manifest.git_commit or 'none'}, table {manifest.table_hash}")
    validated = [f"externally validated on {on}: {text}" for on, text in validations(found).items()]
    say("\n".join(validated) or "not externally validated")
    say(decision["summary"])
    rows = [
        [rule["name"], rule["requirement"], rule["figure"], "passed" if rule["passed"] else "not passed"]
        for rule in decision["rules"]
    ]
    print_table("Decision", ["rule", "asks for", "found", "verdict"], rows)
    moves = [
        [str(item.number), item.when, item.who, item.action, item.from_.version if item.from_ else "", item.to.version]
        for item in history(client, cohort)
    ]
    print_table("Moves", ["record", "when", "who", "move", "from", "to"], moves)


@registry.command()
def promote(
    cohort: Annotated[str | None, typer.Argument(help="Name of a cohort; all of params.yaml by default.")] = None,
    version: VersionName = "challenger",
) -> None:
    """Carry out the decision about a version: it becomes champion if its rules were kept and the champion is the same.

    The pipeline does this by itself, unless RELAPSE_PROMOTE=later. Without a cohort, challengers that the policy keeps
    out are left as they are.
    """
    from relapse.params import read_params
    from relapse.tracking.changes.reviews import held
    from relapse.tracking.registry.models import CHAMPION, has_alias, version_called

    client = _client()
    if cohort is not None:
        _promote(client, cohort, version)
        return
    for name in read_params().cohorts:
        if not has_alias(client, name, version):
            say(f"relapse-{name}: there is no {version}; nothing to promote")
        elif not (decision := described(client, name, version)[1])["promoted"]:
            say(f"relapse-{name}: kept as it is. {decision['summary']}")
        elif has_alias(client, name, CHAMPION) and (
            why := held(client, version_called(client, name, version), decision)
        ):
            say(f"relapse-{name}: held. {why}")
        else:
            _promote(client, name, version)


@registry.command()
def propose(out: Annotated[Path, typer.Option(help="The Markdown file to write.")]) -> None:
    """Write what the last run of the pipeline proposes for each cohort: decision, rules, and metrics of both models."""
    from relapse.ground.files import read_json, write_text
    from relapse.ground.workspace import Workspace
    from relapse.params import read_params
    from relapse.tracking.proposal import proposal

    client = _client()
    parts = [proposal(client, Workspace(name), read_json(Workspace(name).decision)) for name in read_params().cohorts]
    write_text(out, "\n".join(parts))
    say(f"{out}: written")


@registry.command()
def rollback(
    cohort: Cohort, reason: Annotated[str, typer.Option(help="Why, for the record.")] = "rolled back by hand"
) -> None:
    """Make the previous champion champion again, with exactly the bundle that it had."""
    from relapse.machinery import machinery
    from relapse.tracking.registry.moves import rollback as move

    client = _client()
    done = move(client, machinery(), cohort, reason=reason)
    _announce(client, cohort, done.number, f"version {done.to.version} is champion again")


@registry.command()
def verify(
    cohort: Cohort,
    repair: Annotated[
        bool, typer.Option("--repair", help="Restore what was deleted, and put all else where the records say.")
    ] = False,
) -> None:
    """Hold records on disk and in MLflow, registry, runs, receipts and every promoted bundle against each other.

    Exit status 1 where something does not fit.
    """
    from relapse.machinery import machinery
    from relapse.tracking.registry.faults import faults, lost_versions
    from relapse.tracking.registry.receipts import renew
    from relapse.tracking.registry.records import recorded
    from relapse.tracking.registry.repair import repair as put_right

    client = _client()
    if repair:
        for what in put_right(client, machinery(), cohort):
            say(f"relapse-{cohort}: {what}")
        renew(client, cohort)
    found = faults(client, cohort)
    for line in [*found, *lost_versions(client, cohort)]:
        say(f"relapse-{cohort}: {line}")
    say(f"relapse-{cohort}: {len(recorded(client, cohort))} records checked, {len(found)} faults")
    if found:
        raise typer.Exit(1)


@registry.command()
def relocate(
    despite_missing: Annotated[
        bool, typer.Option("--despite-missing", help="Also where files of models are lost for good.")
    ] = False,
) -> None:
    """After the project's folder was moved: let MLflow's database name its artifacts where they are now.

    All of it or nothing; a second time there is nothing to do. Only the project's own mlruns/mlflow.db names places in
    the project; a database or server elsewhere is left to its own tools.
    """
    from relapse.ground.errors import RegistryError
    from relapse.machinery import machinery, own_registry
    from relapse.tracking.client import OWN
    from relapse.tracking.locks import without_password
    from relapse.upkeep.relocate import relocate as write_anew

    if (uri := machinery().tracking_uri) != own_registry():
        raise RegistryError(
            f"MLflow is at {without_password(uri)}, not at {OWN}: nothing there moves with the project."
        )
    say_relocated(write_anew(Path(OWN), Path(), despite_missing=despite_missing))


def say_relocated(done: "Relocated") -> None:
    """Say which places of MLflow's database were written anew."""
    for before, number in done.moved.items():
        say(f"{number} places of MLflow below {before} are now named below {Path().resolve()}")
    if not done.moved:
        say(f"none of MLflow's places had to be changed: {done.here} are below {Path().resolve()}")
    if done.elsewhere:
        say(f"{done.elsewhere} places are in no folder mlruns and were left as they are")


def _promote(client: "MlflowClient", cohort: str, version: str) -> None:
    from relapse.machinery import machinery
    from relapse.tracking.registry.models import version_called
    from relapse.tracking.registry.moves import promote as move

    number = str(version_called(client, cohort, version).version)
    _, decision = described(client, cohort, version)
    done = move(client, machinery(), cohort, number, decision=decision)
    _announce(client, cohort, done.number, f"version {number} is champion")


def described(client: "MlflowClient", cohort: str, version: str) -> tuple[Any, dict[str, Any]]:
    """The verified manifest and decision of a version's bundle."""
    import tempfile

    from relapse.bundle.load import describe_bundle
    from relapse.tracking.registry.models import fetch_version, version_called

    with tempfile.TemporaryDirectory() as scratch:
        fetch_version(version_called(client, cohort, version), Path(scratch) / "bundle")
        found = describe_bundle(Path(scratch) / "bundle")
    return found.manifest, found.decision


def _announce(client: "MlflowClient", cohort: str, number: int, what: str) -> None:
    """Say what was done, and let the pipeline know, so that it packages the champion that there is now."""
    from relapse.tracking.registry.receipts import renew

    say(f"relapse-{cohort}: {what} (record {number})")
    if renew(client, cohort):
        say(f"`dvc repro package@{cohort}` packages it.")


@registry.command()
def ui(
    host: Annotated[str, typer.Option(help="Where the UI listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    browser: Annotated[bool, typer.Option(help="Open the first link, on a desktop.")] = True,
) -> None:
    """Print where MLflow's UI shows each cohort's candidates, comparison, models and champion, and start the UI.

    Where MLflow is a server by its setting, that one's addresses are printed and nothing is started.
    """
    from relapse.machinery import machinery
    from relapse.tracking.registry.models import cohorts
    from relapse.tracking.ui import serve_ui
    from relapse.tracking.views import links

    uri = machinery().tracking_uri
    client, server = _client(), uri.startswith(("http://", "https://"))
    address = uri.rstrip("/") if server else f"http://{host}:{port}"
    found = {name: where for name in cohorts(client) if (where := links(client, name, address))}
    for name, where in found.items():
        say(f"{name}: candidates {where.candidates}")
        for what, link in (("comparison", where.comparison), ("models", where.models), ("champion", where.champion)):
            say(f"{' ' * len(name)}  {what} {link or 'none yet'}")
    if not found:
        say("Nothing is published yet: dvc repro.")
    if not server:
        first = next((where.candidates for where in found.values()), address)
        serve_ui(uri, host=host, port=port, opened=first if browser else None)
