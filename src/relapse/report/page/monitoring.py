"""The page of a look at what was served: one self-contained HTML page."""

from collections.abc import Mapping
from dataclasses import dataclass

from relapse.monitoring.codes import MONITORING
from relapse.monitoring.result import Looked, evidence
from relapse.monitoring.streams import Kind
from relapse.report.page.page import Picture, environment
from relapse.wording import count, listing, number, p_value, sentence


@dataclass(frozen=True, slots=True)
class Row:
    """One stream of the page's table; ``kind`` stands in the first of its kind only."""

    kind: str
    title: str
    code: str
    patients: int
    evidence: str
    p: str
    alarm: str
    since: str


def build_monitoring_page(found: Looked, pictures: Mapping[str, Picture]) -> str:
    """Write the whole page, as HTML text; ``pictures`` are its figures by name."""
    return (
        environment()
        .get_template("monitoring.html.j2")
        .render(
            found=found,
            subject=found.subject,
            outcomes=found.training.outcomes,
            pictures=pictures,
            rows=_rows(found),
            read=_read(found),
            remedies={item.code: sentence(item.remedy) for item in MONITORING.codes},
            number=number,
        )
    )


def _read(found: Looked) -> str:
    served, again = found.served, found.answers - len(found.served)
    said = f"{count(len(served), 'patient')}"
    said += f" from {served.day[0]} to {served.day[-1]}." if len(served) else "."
    said += f" {count(again, 'answer')} more for the same patients." if again else ""
    said += f" {count(found.left_out, 'row')} left out, lacking a value that the model needs." if found.left_out else ""
    others = [f"{name} ({answers})" for name, answers in found.others.items()]
    return said + (f" Not looked at: answers of {listing(others)}." if others else "")


def _rows(found: Looked) -> list[Row]:
    rows = []
    for kind in Kind:
        mine = [item for item in found.judged if item.stream.kind is kind]
        for place, item in enumerate(sorted(mine, key=lambda one: (one.adjusted, -evidence(one)))):
            rows.append(
                Row(
                    kind=kind.value.capitalize() if place == 0 else "",
                    title=item.stream.title,
                    code=item.stream.code.code,
                    patients=len(item.stream.rows),
                    evidence=number(10 ** min(evidence(item), 9), 1) if evidence(item) < 9 else "over 10⁹",
                    p=p_value(item.adjusted),
                    alarm=str(item.alarm.day) if item.alarm else "",
                    since=str(item.alarm.since) if item.alarm else "",
                )
            )
    return rows
