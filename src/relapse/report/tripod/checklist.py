"""TRIPOD+AI filled from what was really run, with an honest "needs you" where no pipeline can know.

An item answered in the cohort's declaration is quoted; one that the evidence answers is written from it and names the
section that shows it. The items are in :mod:`relapse.cohorts.checklist`.
"""

from dataclasses import dataclass
from enum import StrEnum

from relapse.cohorts.checklist import ITEMS, Item
from relapse.documents import Document, Section, Table
from relapse.report.material import Material
from relapse.report.tripod.evidence import OWN, SAME


class Status(StrEnum):
    """Whether an item is answered, and by whom."""

    SHOWN = "shown"
    PARTLY = "partly: needs you"
    DECLARED = "declared"
    NEEDS_YOU = "needs you"
    NOT_APPLICABLE = "does not apply"


@dataclass(frozen=True, slots=True)
class Answer:
    """One item with its answer; ``where`` names sections of the report by their anchors."""

    item: Item
    status: Status
    text: str
    where: tuple[str, ...] = ()


def checklist(material: Material) -> list[Answer]:
    """Answer all items, in the checklist's order."""
    return [_answer(item, material) for item in ITEMS]


def tally(answers: list[Answer]) -> dict[Status, int]:
    """How many items have each status."""
    return {status: sum(answer.status is status for answer in answers) for status in Status}


def checklist_document(material: Material) -> Document:
    """The filled checklist, with links to sections of ``report.html``."""
    answers = checklist(material)
    counted = ", ".join(f"{found} {status.value}" for status, found in tally(answers).items() if found)
    sections = [
        Section(
            "How much is answered",
            (
                f"{len(answers)} entries of 27 items: {counted}. What needs you cannot be known from data and "
                "code; answer it in the cohort's declaration under tripod, by its number.",
                "Collins GS et al. TRIPOD+AI statement. BMJ 2024;385:e078378. Items are shortened.",
            ),
        )
    ]
    for name in dict.fromkeys(answer.item.section for answer in answers):
        rows = tuple(
            (
                f"{answer.item.number} {answer.item.topic}",
                answer.status.value,
                answer.text,
                ", ".join(f"report.html#{anchor}" for anchor in answer.where),
            )
            for answer in answers
            if answer.item.section == name
        )
        sections.append(Section(name, (), Table(("Item", "Status", "Answer", "Shown in"), rows)))
    return Document(f"TRIPOD+AI: {material.cohort.title}", tuple(sections))


def _answer(item: Item, material: Material) -> Answer:
    declared = material.cohort.tripod.get(item.number, "").strip()
    found = OWN[item.number](material) if item.number in OWN else SAME.get(item.number)
    if found is None:
        text = declared or f"{item.asked} Not known to the pipeline."
        return Answer(item, Status.DECLARED if declared else Status.NEEDS_YOU, text)
    if not found.applies and not declared:
        return Answer(item, Status.NOT_APPLICABLE, found.text, found.where)
    status = Status.SHOWN if found.whole or declared else Status.PARTLY
    return Answer(item, status, " ".join(part for part in (declared, found.text) if part), found.where)
