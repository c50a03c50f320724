"""How text is written: its encoding, and the sign that parts its cells, found by looking."""

import csv
from collections import Counter
from collections.abc import Sequence

from relapse.ground.errors import SourceError

#: Encodings that older programs in Europe write; told apart by what the text looks like in each.
_OLDER = ["cp1252", "cp1250", "cp1251", "cp437", "mac_roman"]

#: Signs that part cells.
_SIGNS = (";", "\t", ",", "|")


def encoding_of(data: bytes, name: str) -> tuple[str, list[str]]:
    """The encoding of a text, and what a person should look at; raises SourceError where it is no text."""
    try:
        if b"\0" not in data[:4000]:
            data.decode("utf-8")
            return "utf-8", []
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes

        best = from_bytes(data, cp_isolation=_OLDER).best()
        found = {"cp1252": "windows-1252", "cp1250": "windows-1250", "cp1251": "windows-1251"}
        encoding = found.get(best.encoding, best.encoding) if best else "windows-1252"
        return encoding, [
            f"encoding: the file is not UTF-8, and looks like {encoding}: are its umlauts and accents right?"
        ]
    start = data[:4000]
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", []
    even, odd = start[::2].count(0), start[1::2].count(0)
    if max(even, odd) < len(start) / 8:
        raise SourceError(f"{name}: it holds signs that no text does: it is no text table.")
    encoding = "utf-16-be" if even > odd else "utf-16-le"
    return encoding, [f"encoding: every other byte is empty, as in {encoding}: are the names right?"]


def separator_of(lines: Sequence[str]) -> str | None:
    """The sign that parts lines into cells; None where none does. One blank counts where nothing else does.

    The one that parts the earliest line into as many cells as most lines have: a decimal comma parts no header.
    """
    found = []
    for sign in _SIGNS:
        # Line by line, so that a quote which is not closed spoils one of them.
        widths = [len(next(csv.reader([line], delimiter=sign, skipinitialspace=True), [])) for line in lines]
        width, times = Counter(widths).most_common(1)[0]
        if width > 1 and times >= 0.6 * len(widths):
            found.append((-widths.index(width), times / len(widths), width, sign))
    if found:
        return max(found)[-1]
    widths = [len(cells) for cells in csv.reader(lines, delimiter=" ")]
    return " " if len(set(widths)) == 1 and widths[0] > 1 and len(lines) > 2 else None
