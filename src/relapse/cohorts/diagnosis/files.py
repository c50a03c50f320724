"""What a file looks like that is not read as declared: its kind, its encoding, its separator, its header."""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence

#: How the bytes of other kinds of files begin.
_KINDS = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive: declare `{excel: …, sheet: …}`, or unpack it"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls) or a protected one: save it as .xlsx without a password"),
    (b"PAR1", "a parquet file: declare `{parquet: …}`"),
    (b"\x1f\x8b", "a gzipped file: only CSV files are read so"),
    (b"BZh", "a file compressed by bzip2: unpack it, or compress it by gzip"),
    (b"\xfd7zXZ", "a file compressed by xz: unpack it, or compress it by gzip"),
    (b"%PDF", "a PDF: export the table as CSV or .xlsx"),
    (b"\x89PNG", "a picture"),
)
_SEPARATORS = {";": '";"', "\t": '"\\t"', ",": '","', "|": '"|"'}
_IN_WORDS = {";": "semicolons", "\t": "tabs", ",": "commas", "|": "upright strokes (|)"}


def kind(data: bytes) -> str | None:
    """The kind of a file in words, by its first bytes; None where they tell nothing."""
    return next((words for begin, words in _KINDS if data.startswith(begin)), None)


def text_or(data: bytes) -> str | None:
    """The kind of a file that is expected to be none of text."""
    plain = b"\0" not in data[:4000] and data[:4000].isascii()
    return kind(data) or ("text: declare `{csv: …}`" if plain else None)


def encoding(data: bytes, declared: str) -> str | None:
    """What to say where ``data`` cannot be the declared encoding, or is plainly another one; None where nothing."""
    name = codecs.lookup(declared).name
    wide = name.startswith(("utf-16", "utf-32"))
    start = data[:4000]
    if not wide and start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "The file begins as UTF-16 does: declare `encoding: utf-16` under source."
    if not wide and b"\0" in start:
        even, odd = start[::2].count(0), start[1::2].count(0)
        if max(even, odd) < len(start) / 8:
            return "It holds signs that no text does: it is no text table."
        order = "be" if even > odd else "le"
        return f"Every other byte is empty, as in UTF-16: declare `encoding: utf-16-{order}` under source."
    if wide and b"\0" not in start:
        return f"The file is not {declared}: remove `encoding: {declared}` under source, or declare the file's own."
    try:
        data.decode(declared)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        other = "windows-1252" if _decodes(data, "windows-1252") else "latin-1"
        return (
            f"Line {line} holds a byte that is no {declared} (as umlauts, accents and µ are in older files). "
            f"It can be read as {other}: declare `encoding: {other}` under source."
        )
    except LookupError:
        return f"{declared} is no encoding of text. Usual ones: utf-8, windows-1252, latin-1, utf-16."
    if not wide and not name.startswith("utf") and not data.isascii() and _decodes(data, "utf-8"):
        return f"The file is UTF-8, not {declared}: remove `encoding: {declared}` under source."
    return None


def separator(lines: Sequence[str], declared: str = "") -> str | None:
    """The sign, other than the declared one, that divides most of some lines into more cells, and equally many."""
    _, most = _cells(lines, declared) if declared else (None, 1)
    found = {sign: _cells(lines, sign) for sign in _SEPARATORS if sign != declared}
    fitting = {sign: width for sign, (share, width) in found.items() if share >= 0.6 and width > most}
    return max(fitting, key=lambda sign: fitting[sign], default=None)


def _cells(lines: Sequence[str], sign: str) -> tuple[float, int]:
    """The usual number of cells in a line, and the share of lines that have it."""
    widths = Counter(len(cells) for cells in csv.reader(lines, delimiter=sign) if cells)
    width, times = widths.most_common(1)[0] if widths else (1, 0)
    return times / max(widths.total(), 1), width


def separator_hint(lines: Sequence[str], declared: str) -> str | None:
    """What to say where another sign divides the lines better."""
    sign = separator(lines, declared)
    if sign is None:
        return None
    return f"The cells look separated by {_IN_WORDS[sign]}: declare `separator: {_SEPARATORS[sign]}` under source."


def comment_hint(lines: Sequence[str]) -> str | None:
    """What to say where the first line is a comment."""
    if not lines or not lines[0].startswith("#"):
        return None
    return 'The first line looks like a comment: declare `comment: "#"` under source.'


def header_hint(widths: Iterable[tuple[int, int]], header: Sequence[int]) -> str | None:
    """What to say where the first lines are narrower than the table; ``widths`` are lines and their counts of cells."""
    known = list(widths)
    usual, times = Counter(width for _, width in known).most_common(1)[0]
    first = next(line for line, width in known if width == usual)
    before = [width for line, width in known if line < first]
    if times < 2 or not before or max(before) >= usual or header[-1] >= first:
        return None
    return f"Line {first} looks like the header, below a title: declare `header: {first}` under source."


def names_elsewhere(
    rows: Iterable[tuple[int, Sequence[str]]], needed: set[str], lacking: set[str], header: Sequence[int]
) -> str | None:
    """What to say where columns that are lacking are named in another line: a header of several lines, or lower."""
    for line, cells in rows:
        present = {squeezed(cell) for cell in cells}
        found = ", ".join(sorted(lacking & present))
        if needed <= present:
            return f"All of them stand in line {line}: declare `header: {line}` under source."
        if found:
            both = ", ".join(str(item) for item in sorted({*header, line}))
            return (
                f"In line {line} there is {found}: if the header has several lines, declare `header: [{both}]` under "
                "source. A name is then the filled cells above each other, joined by ' / '."
            )
    return None


def squeezed(name: object) -> str:
    """A name of a column with line breaks and runs of blanks as one blank, none at the ends."""
    return re.sub(r"\s+", " ", str(name)).strip()


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
