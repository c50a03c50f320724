"""All documents on a cohort, as the texts of their files: the report, the model card and the TRIPOD+AI checklist."""

from relapse.documents import markdown
from relapse.report.document import build_report
from relapse.report.material import Material
from relapse.report.model_card import model_card
from relapse.report.tripod import checklist_document

REPORT, CARD, CHECKLIST = "report.html", "model_card.md", "tripod.md"


def documents(material: Material) -> dict[str, str]:
    """File name to content."""
    return {
        REPORT: build_report(material),
        CARD: markdown(model_card(material)),
        CHECKLIST: markdown(checklist_document(material)),
    }
