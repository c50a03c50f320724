"""Short documents of headed paragraphs and tables, as Markdown for files and as HTML for pages, from one structure."""

from dataclasses import dataclass
from html import escape

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text; each row has as many cells as there are columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with paragraphs and, after them, a table."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A titled document."""

    title: str
    sections: tuple[Section, ...]


_ADAPTER = TypeAdapter(Document)


def document_json(document: Document) -> str:
    """The structure itself, for :func:`read_document`."""
    return _ADAPTER.dump_json(document, indent=2).decode() + "\n"


def read_document(text: str | bytes) -> Document:
    """Read what :func:`document_json` gave; pydantic's ``ValidationError`` where it is something else."""
    return _ADAPTER.validate_json(text)


def markdown(document: Document) -> str:
    """The document as Markdown."""
    lines = [f"# {document.title}"]
    for section in document.sections:
        lines += ["", f"## {section.heading}"]
        for paragraph in section.paragraphs:
            lines += ["", paragraph]
        if section.table:
            lines += ["", _row(section.table.columns), _row(("---",) * len(section.table.columns))]
            lines += [_row(row) for row in section.table.rows]
    return "\n".join(lines) + "\n"


def html(document: Document, *, level: int = 2) -> str:
    """The document's sections as HTML, with headings of this level; everything is escaped."""
    parts = []
    for section in document.sections:
        parts.append(f"<h{level}>{escape(section.heading)}</h{level}>")
        parts += [f"<p>{escape(paragraph)}</p>" for paragraph in section.paragraphs]
        if section.table:
            head = "".join(f'<th scope="col">{escape(name)}</th>' for name in section.table.columns)
            rows = "".join(
                f'<tr><th scope="row">{escape(first)}</th>'
                + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
                + "</tr>"
                for first, *rest in section.table.rows
            )
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
    return "\n".join(parts)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
