"""All documents on a cohort, as the texts of their files: the report, the model card and the TRIPOD+AI checklist."""

from relapse.documents import Document, markdown
from relapse.report.material import Material
from relapse.report.model_card import model_card
from relapse.report.page.page import build_report
from relapse.report.tripod.checklist import checklist_document

REPORT, CARD, CHECKLIST = "report.html", "model_card.md", "tripod.md"


def sealed(material: Material) -> dict[str, Document]:
    """What travels with a model, written before its decision is carried out: the model card and the checklist."""
    return {"card": model_card(material), "checklist": checklist_document(material)}


def documents(material: Material) -> dict[str, str]:
    """File name to content."""
    return {
        REPORT: build_report(material),
        CARD: markdown(model_card(material)),
        CHECKLIST: markdown(checklist_document(material)),
    }
