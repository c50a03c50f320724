"""A draft as the text of a declaration: commented, with a line TODO and its reason above whatever is not certain."""

import json
import re
import tempfile
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import ingest
from relapse.drafting.draft import Draft
from relapse.ground.errors import DeclarationError

_WIDTH = 118

#: Words that need no quotes in YAML, whatever version reads it.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./+-]*(?: [A-Za-z0-9_./+(-][A-Za-z0-9_./+()-]*)*")
_SPOKEN_FOR = frozenset(("yes", "no", "true", "false", "on", "off", "null", "y", "n", "none", "nan"))


def text_of(draft: Draft, source: Mapping[str, Any]) -> str:
    """The declaration of a draft; ``source`` is what stands under that key, without words for missing."""
    doubts = draft.doubts
    lines = [
        "# A first declaration, made by looking at the table. Every TODO is a guess to be confirmed, or a question:",
        "# answer it and delete the line. docs/declaring.md says what can be declared.",
        f"name: {draft.name}",
        f"title: {flow(draft.title)}",
        *_todo(draft.sniffed.notes, ""),
        *_block("source", {**source, **({"missing": list(draft.missing)} if draft.missing else {})}),
        "licence: internal  # TODO under which terms may the data be used?",
        "citation: none  # TODO what is to be cited?",
        *_todo(doubts.get("patient", ()), ""),
        f"patient: {flow(draft.patient)}",
    ]
    if draft.site is not None:
        lines += [*_todo(doubts.get("site", ()), ""), f"site: {flow(draft.site)}"]
    lines += [*_todo(doubts.get("endpoint", ()), ""), *_block("endpoint", draft.endpoint)]
    for event in draft.events:
        lines += [*_todo([event.why], "  "), *(f"  # {key}: {flow(item)}" for key, item in event.ready.items())]
    lines.append("features:")
    for entry in draft.features.entries:
        lines += [*_todo(entry.doubts, "  "), f"  {flow(entry.key)}: {flow(entry.content)}"]
    if draft.features.left_out:
        lines.append("# Left out:")
        lines += [f"#   {name}: {why}" for name, why in draft.features.left_out.items()]
    if any(entry.content.get("block") == "measured" for entry in draft.features.entries):
        lines += ["blocks:", "  measured: {title: measured features, over: [reference]}"]
    lines += [*_todo(doubts.get("reference", ()), ""), f"reference: {flow(list(draft.reference))}"]
    if draft.subgroups:
        lines += [f"subgroups: {flow(list(draft.subgroups))}"]
    return "\n".join(lines) + "\n"


def source_of(draft: Draft, path: Path) -> dict[str, Any]:
    """What stands under ``source`` for a table that lies at ``path``."""
    given = draft.sniffed.source.model_dump(mode="json", exclude_unset=True)
    kind = next(key for key in ("csv", "excel", "parquet", "spss", "stata") if key in given)
    sheet = {"sheet": given.pop("sheet")} if "sheet" in given else {}
    return {kind: path.as_posix(), **sheet, **{key: item for key, item in given.items() if key != kind}}


def try_out(draft: Draft, text: str) -> None:
    """Read a declaration and the table that it names, before anything is kept.

    Raises
    ------
    DeclarationError, SourceError
        What is declared does not go together, or the table cannot be read so.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{draft.name}.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            ingest(read_cohort(path), root=Path())
        except DeclarationError as error:
            # The file is not there yet: its place says nothing.
            raise DeclarationError(str(error).replace(f"{path}: ", "")) from None


def _todo(doubts: Iterable[str], indent: str) -> list[str]:
    lines = []
    for doubt in doubts:
        lines += textwrap.wrap(
            f"TODO {doubt}",
            _WIDTH,
            initial_indent=f"{indent}# ",
            subsequent_indent=f"{indent}#   ",
            break_long_words=False,
        )
    return lines


def _block(key: str, content: Mapping[str, Any]) -> list[str]:
    return [f"{key}:", *(f"  {name}: {flow(item)}" for name, item in content.items())]


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value!r}"
    text = str(value)
    if re.fullmatch(r"-?(0|[1-9]\d*)|\d+ [dwmy]", text):
        return text
    plain = _PLAIN.fullmatch(text) and text.casefold() not in _SPOKEN_FOR
    return text if plain else json.dumps(text, ensure_ascii=False)
