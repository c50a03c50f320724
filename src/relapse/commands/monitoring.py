"""The command ``relapse monitor``: what was served, or any table, against what the model was trained on."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relapse.ground.console import say

if TYPE_CHECKING:
    import numpy as np

    from relapse.bundle.load import Description
    from relapse.monitoring.monitored import Monitored
    from relapse.monitoring.result import Looked
    from relapse.monitoring.served import Served

#: Exit status where there is an alarm.
ALARM = 3


def monitor(
    model: Annotated[str, typer.Argument(help="A cohort's name (its packaged bundle), or a bundle's folder.")],
    store: Annotated[Path | None, typer.Option(help="The folder that RELAPSE_MONITOR named to the service.")] = None,
    table: Annotated[Path | None, typer.Option(help="Any table of patients instead, CSV or parquet.")] = None,
    outcomes: Annotated[
        Path | None, typer.Option(help="Outcomes that arrived: patient, event (0, 1), and time where there is one.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Day of the look, 2026-11-28; today by default.")] = None,
    day: Annotated[str, typer.Option(help="The table's column of the day.")] = "day",
    risk: Annotated[
        str, typer.Option(help="The table's column of the model's risk; without it the model is asked.")
    ] = "risk",
    level: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="Chance of a false alarm, over all looks and all that is watched.")
    ] = 0.05,
    out: Annotated[
        Path | None, typer.Option(help="Write monitoring.html, monitoring.json, monitoring.prom and figures there.")
    ] = None,
) -> None:
    """Say whether what is served is still what the model was trained on, and, once outcomes are known, still right.

    Everything is reckoned anew from the whole store, so nothing is kept between looks, and looking often raises no
    false alarm. Outcomes are joined by the key in RELAPSE_MONITOR_KEY. Exit status 0 without an alarm (also where too
    little is known), 3 with one, 2 where something cannot be read, 1 where the bundle cannot be used.
    """
    from relapse.bundle.load import describe_bundle
    from relapse.bundle.monitoring import required
    from relapse.ground.errors import DeclarationError
    from relapse.ground.workspace import Workspace
    from relapse.monitoring.outcomes import known_of, read_outcomes
    from relapse.monitoring.result import Subject, look

    if (store is None) == (table is None):
        raise DeclarationError("Name one of the two: --store FOLDER, what a service kept, or --table FILE.")
    folder = Path(model) if (Path(model) / "manifest.json").is_file() else Workspace(model).bundle
    described = describe_bundle(folder)
    training, cohort = required(described.monitored, where=str(folder)), described.cohort
    today = _day(until)
    subject = Subject(
        model=described.manifest.name,
        version=described.manifest.version,
        title=cohort.title,
        cohort=cohort.name,
        labels={name: cohort.features[name].label or name for name in cohort.predictors},
        may_lack=_may_lack(described),
    )
    others: dict[str, int] = {}
    left_out = 0
    if store is not None:
        answers, others = _kept(store, described, training, until=today)
    else:
        assert table is not None
        answers, left_out = _tabled(table, folder, described, training, day=day, risk=risk, until=today)
    served, known = answers.once(), None
    if outcomes is not None and training.outcomes is not None:
        arrived = read_outcomes(outcomes, timed=cohort.survival is not None, key=_key() if store else None)
        known = known_of(served, arrived, training.outcomes, until=today)
    found = look(
        subject,
        training,
        served,
        known,
        until=str(today),
        others=others,
        left_out=left_out,
        count=len(answers),
        level=level,
    )
    _tell(found)
    if out is not None:
        _write(found, out)
    if found.findings:
        raise typer.Exit(ALARM)


def _may_lack(described: "Description") -> frozenset[str]:
    cohort, optional = described.cohort, described.optional_blocks
    return frozenset(
        name
        for name in cohort.predictors
        if cohort.features[name].max_missing or cohort.features[name].block in optional
    )


def _day(text: str | None) -> "np.datetime64":
    import numpy as np

    from relapse.ground.errors import DeclarationError

    try:
        # The store's days are UTC's.
        return np.datetime64(date.fromisoformat(text) if text else datetime.now(UTC).date(), "D")
    except ValueError:
        raise DeclarationError(f"--until {text}: expected a day such as 2026-11-28.") from None


def _key() -> bytes:
    from relapse.ground.environment import MONITOR_KEY
    from relapse.ground.errors import ServingError

    key = MONITOR_KEY.get()
    if not key:
        raise ServingError("RELAPSE_MONITOR_KEY: the store's key is needed to join outcomes to its pseudonyms.")
    return key.encode()


def _kept(
    store: Path, described: "Description", training: "Monitored", *, until: "np.datetime64"
) -> "tuple[Served, dict[str, int]]":
    """What a service kept up to a day, and how many answers other models gave."""
    import numpy as np

    from relapse.monitoring.served import Served
    from relapse.monitoring.store import read_store

    manifest = described.manifest
    lines, others = read_store(store, model=manifest.name, version=manifest.version, training=training)
    count, lines = len(lines), [line for line in lines if np.datetime64(line.day) <= until]
    if later := count - len(lines):
        say(f"{store}: {later} answers are of days after {until} and are left for a later look; see to the clock.")
    nothing = float("nan")
    return Served(
        day=np.array([line.day for line in lines], dtype="datetime64[D]"),
        patient=np.array([line.patient for line in lines], dtype=str),
        classes=np.array([line.classes for line in lines], dtype=np.int64).reshape(len(lines), len(training.features)),
        risk=np.array([nothing if line.risk is None else line.risk for line in lines], dtype=np.float64),
        unlike=np.array([nothing if line.unlike is None else line.unlike for line in lines], dtype=np.float64),
    ), others


def _tabled(
    table: Path,
    folder: Path,
    described: "Description",
    training: "Monitored",
    *,
    day: str,
    risk: str,
    until: "np.datetime64",
) -> "tuple[Served, int]":
    """The patients of a table up to a day, and how many rows no service would have answered."""
    from relapse.bundle.load import load_bundle
    from relapse.bundle.monitoring import unlike
    from relapse.ground.errors import PredictionsError
    from relapse.monitoring.monitored import DECIMALS
    from relapse.monitoring.served import Served
    from relapse.monitoring.tables import read_patients

    cohort = described.cohort
    may_lack = {name for name in cohort.predictors if cohort.features[name].max_missing}
    found = read_patients(table, cohort, day=day, risk=risk, may_lack=may_lack)
    risks = found.risk
    if risks is None:
        if cohort.volumes:
            raise PredictionsError(f"{table}: column missing: {risk}. The model looks at pictures: give its risks.")
        times = [cohort.survival.horizons[0].time] if cohort.survival else None
        risks = load_bundle(folder).model.predict_risk(found.features, times)[:, 0]
    places = {name: item.classes.places(found.features[name]) for name, item in training.features.items()}
    served = Served(
        day=found.day,
        patient=found.patient,
        classes=training.classes(places),
        risk=risks.round(DECIMALS),
        unlike=unlike(found.features, cohort, described.reference, described.training).astype(float),
    )
    return served.at(served.day <= until), found.left_out


def _tell(found: "Looked") -> None:
    say(f"{found.subject.model} version {found.subject.version}, as of {found.until}: {found.verdict}")
    for name, answers in found.others.items():
        say(f"  not looked at: {answers} answers of {name}")
    if found.left_out:
        say(f"  {found.left_out} rows left out: they lack a value that the model needs")
    say(f"  {found.of_outcomes}")
    for finding in found.findings:
        say(f"  {finding.code} {finding.message}")


def _write(found: "Looked", out: Path) -> None:
    from relapse.figures.monitoring import monitoring_figures
    from relapse.figures.style import save
    from relapse.ground.files import write_json, write_text
    from relapse.report.page.monitoring import build_monitoring_page
    from relapse.report.page.page import pictures

    if found.judged:
        for name, figure in monitoring_figures(found).items():
            save(figure, out / "figures" / name)
    shown = pictures(out / "figures") if found.judged else {}
    write_json(out / "monitoring.json", found.to_json())
    write_text(out / "monitoring.prom", found.exposition())
    write_text(out / "monitoring.html", build_monitoring_page(found, shown))
    say(f"Written: {out / 'monitoring.html'}, monitoring.json, monitoring.prom")
