"""What a retraining proposes, as the text of a pull request: decisions, their rules, and the figures behind them."""

from collections.abc import Iterable

from relapse.documents import Document, Section, Table
from relapse.report.material import Material
from relapse.report.wording import interval, number


def proposal(materials: Iterable[Material]) -> Document:
    """A section a cohort: the decision with every rule, then the challenger's figures beside the reference's."""
    sections = [section for material in materials for section in (_decision(material), _figures(material))]
    return Document("Retrained models", tuple(sections))


def _decision(m: Material) -> Section:
    verdict = "May be promoted." if m.decision["promoted"] else "Is not promoted; the champion stays."
    rows = tuple(
        (rule["name"], rule["requirement"], rule["figure"], "passed" if rule["passed"] else "not passed")
        for rule in m.decision["rules"]
    )
    return Section(
        f"{m.cohort.title}: {m.decision['challenger_title']}",
        (f"{verdict} {m.decision['summary']}", f"Content {m.decision['content_hash'][:12]}."),
        Table(("Rule", "Asks for", "Found", "Verdict"), rows),
    )


def _figures(m: Material) -> Section:
    names = list(dict.fromkeys((m.decision["challenger"], "reference")))
    rows = tuple(
        (metric.label, *(_cell(m, name, metric.key) for name in names))
        for metric in m.evidence.endpoint.metrics
        if metric.headline
    )
    return Section(
        f"{m.cohort.title}: figures on patients not seen",
        (f"{m.evidence.patients} patients, {m.evidence.events} events; 95% intervals resample patients.",),
        Table(("Metric", *(m.titles[name] for name in names)), rows),
    )


def _cell(m: Material, name: str, key: str) -> str:
    found = m.evidence.candidate(name).metrics[key]
    return f"{number(found.value)} ({interval(found.lower, found.upper)})"
