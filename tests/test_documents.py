"""Documents say the same in every form, and text stays text."""

import pytest
from pydantic import ValidationError

from relapse.documents import Document, Section, Table, document_json, html, markdown, read_document

DOCUMENT = Document(
    "A title",
    (
        Section("First", ("One.", "Two <b>& three</b>.")),
        Section("Second", (), Table(("a", "b"), (("x | y", "line\nbreak"), ("<i>", "2")))),
    ),
)


def test_json_gives_back_the_same_document() -> None:
    assert read_document(document_json(DOCUMENT)) == DOCUMENT


def test_markdown_keeps_a_row_on_one_line_and_a_bar_inside_its_cell() -> None:
    lines = markdown(DOCUMENT).splitlines()
    assert lines[0] == "# A title"
    assert lines.count("## First") == 1
    assert "| x \\| y | line break |" in lines


def test_html_escapes_everything() -> None:
    page = html(DOCUMENT, level=3)
    assert "<h3>First</h3>" in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "Two &lt;b&gt;&amp; three&lt;/b&gt;." in page
    assert page.count("<tr>") == 3


@pytest.mark.parametrize("text", ["{}", "[1]", '{"title": 1, "sections": []}'])
def test_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        read_document(text)
