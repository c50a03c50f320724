"""The command ``relapse``: every command by its name."""

import typer

from relapse.commands import cohort, lineage, model, own_table, pipeline, predictions, service
from relapse.commands.change import change
from relapse.commands.cluster import cluster
from relapse.commands.deploy import deploy
from relapse.commands.explain import explain
from relapse.commands.films import films
from relapse.commands.monitoring import monitor
from relapse.commands.project import project
from relapse.commands.registry import registry
from relapse.ground.console import readable_errors
from relapse.ground.environment import check_environment

app = typer.Typer(
    help="Relapse models for breast cancer. The pipeline itself runs with `dvc repro`, or `relapse run`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(pipeline.run)
app.command()(cohort.check)
app.command()(predictions.evaluate)
app.command(name="check-table")(predictions.check_table)
app.command()(model.compare)
app.command()(model.validate)
app.command()(model.update)
app.command()(lineage.trace)
app.command()(cohort.simulate)
app.command()(cohort.audit)
app.command()(cohort.use)
app.command()(explain)
app.command()(monitor)
app.command(name="audit-log")(service.audit_log)
app.add_typer(change, name="change")
app.add_typer(deploy, name="deploy")
app.add_typer(films, name="films")
app.add_typer(cluster, name="cluster")
app.add_typer(own_table.cohort, name="cohort")
app.add_typer(project, name="project")
app.add_typer(registry, name="registry")


def main() -> None:
    """Entry point: errors meant for the user come out as one message and their exit status."""
    with readable_errors():
        check_environment()
        app()
