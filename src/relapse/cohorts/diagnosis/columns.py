"""What the cells of a column look like that broke a rule, and the line of the declaration that mends it.

Told are patterns and how many cells have them. Words are repeated only where they are of the short lists below (codes,
words for missing, units) or a declared level in another spelling: those are no patient's own.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.declared.source import ExcelSource, OwnSource, Source, TextSource
from relapse.cohorts.diagnosis.words import CODES, ERRORS, MISSING, OUTCOMES, UNITS
from relapse.cohorts.numbers import pattern_of

_NUMBER = r"[-+]?[0-9]+(?:[.,][0-9]+)?"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*|[0-9]{1,2}[./-][0-9]{1,2}[./-](?:[0-9]{2}){1,2}"

Describe = Callable[[int, "pd.Series", str, Source], str]


def number(values: pd.Series, *, column: str, source: Source) -> str:
    """What cells look like that are no numbers; ``column`` is the source's."""
    text = _text(values)
    broken = text[~text.str.fullmatch(pattern_of(source))]
    if place := _place(broken, values, source):
        return place
    said, left = [], broken
    for pattern, describe in _PATTERNS:
        alike = pattern(left)
        if alike.any():
            said.append(describe(int(alike.sum()), left[alike], column, source))
            left = left[~alike]
    if len(left) and len(broken) == len(text):
        said.append("No cell reads as a number: is this the column meant, and is its type a number?")
    elif len(left):
        said.append(f"{_count(len(left), 'holds', 'hold')} other text: correct it, or declare its words as `missing`.")
    return " ".join(said)


def code(values: pd.Series, *, column: str, source: Source) -> str:
    """What numbers look like that are out of range: all a usual code for a missing value, or nothing to be said."""
    found = sorted({float(value) for value in values.dropna()})
    if not found or not {-1.0, *CODES}.issuperset(found):
        return ""
    words = [f"{value:g}" for value in found]
    return f"All of them are {_listed(words)}, as missing values are often coded: {_missing(words, column, source)}."


def level(values: pd.Series, feature: Categorical, *, column: str, source: Source) -> str:
    """What cells look like that are none of the levels."""
    text = _text(values)
    broken = text[~text.isin(feature.names)]
    said = _spelling(broken, feature.levels, "levels") or _absent(broken, column, source)
    digits = sorted(broken.unique())
    if not said and len(broken) == len(text) and all(re.fullmatch("[0-9]", item) for item in digits):
        first = int(digits[0])
        example = ", ".join(f"{place}: {name}" for place, name in enumerate(feature.names, start=first))
        said = f"The source holds codes ({_listed(digits)}): declare what each means, such as `levels: {{{example}}}`."
    if not said and (mojibake := int(broken.str.contains("Ã|Â|\ufffd").sum())):
        said = f"{_count(mojibake)} signs of a wrong encoding: look at `encoding:` under source."
    return said


def outcome(values: pd.Series, codes: Mapping[str, int], *, column: str, source: Source) -> str:
    """What cells look like that are none of the outcome's codes; the codes found already read 0 and 1."""
    text = _text(values).str.replace(r"\.0+$", "", regex=True)
    broken = text[~text.isin(["0", "1"])]
    if place := _place(broken, values, source):
        return place
    if said := _spelling(broken, {word: str(value) for word, value in codes.items()}, "values"):
        return said
    if said := _absent(broken, column, source):
        return said
    identity = all(word == str(value) for word, value in codes.items())
    found = sorted(text.unique(), key=lambda word: (OUTCOMES.get(word.casefold(), 2), word))
    if not (identity or len(broken) == len(text)) or any(word.casefold() not in OUTCOMES for word in found):
        return _unfound(text, codes)
    sides = {OUTCOMES[word.casefold()] for word in found}
    if len(sides) == 1 and set(found) != {"1", "2"}:
        return (
            f"All rows read {_listed(found)}, one side of an outcome. Declare what the other is called, `values: "
            "{…: 0, …: 1}` under endpoint: a word such as None or NA is missing, unless it is declared as a code."
        )
    if set(found) <= {"1", "2"}:
        return (
            "The codes are 1 and 2: declare `values: {1: 0, 2: 1}` under endpoint, if 2 is the event; else the reverse."
        )
    numbered = ", ".join(f"{_quoted(word)}: {OUTCOMES[word.casefold()]}" for word in found)
    return f"The codes are {_listed(found)}: declare `values: {{{numbered}}}` under endpoint."


def one_sided(values: pd.Series, codes: Mapping[str, int]) -> str:
    """Which outcome never comes, and the codes declared for it."""
    return _unfound(_text(values).str.replace(r"\.0+$", "", regex=True), codes)


def _unfound(text: pd.Series, codes: Mapping[str, int]) -> str:
    lacking = [value for value in (0, 1) if not (text == str(value)).any()]
    if len(lacking) == 2 and len(text):
        return (
            f"None of the declared codes is in the column, which has {text.nunique()} others: declare what each means, "
            "`values: {…: 0, …: 1}` under endpoint."
        )
    return " ".join(
        f"No row has a code for {value} (declared: {', '.join(word for word, to in codes.items() if to == value)}). "
        "A word such as None or NA is missing, unless it is declared as a code."
        for value in lacking
    )


def _place(broken: pd.Series, values: pd.Series, source: Source) -> str:
    """What to say where only the first rows or the last ones break the rule: a further header line, or a note below."""
    places = [place for place, broke in enumerate(values.index.isin(broken.index)) if broke]
    if not isinstance(source, TextSource) or not places or len(values) < 10 or len(places) > 2:
        return ""
    wordy = not broken.str.fullmatch(rf"[<>]?\s*{_NUMBER}.*").any() and not broken.str.casefold().isin(MISSING).any()
    if wordy and places == list(range(len(places))):
        last = source.header_lines[-1]
        lines = [*source.header_lines, *range(last + 1, last + 1 + len(places))]
        return (
            "Nothing but the top does, like a further header line: if it is one, declare "
            f"`data: {lines[-1] + 1}` under source to pass it over, or `header: {lines}` to have it in the names."
        )
    if wordy and places[-1] == len(values) - 1 and places[-1] - places[0] == len(places) - 1:
        return (
            "Nothing but the end does, like a note below the table: if it is one, declare "
            f"`footer: {len(places)}` under source."
        )
    return ""


def _comma(count: int, alike: pd.Series, column: str, source: Source) -> str:
    if isinstance(source, TextSource) and source.decimal == ",":
        return f'{_count(count)} a decimal point, though `decimal: ","` is declared: one sign is meant for all.'
    if alike.str.contains(r"\.[0-9]{3},").any():
        return f'{_count(count)} a decimal comma: declare `decimal: ","` and `thousands: "."` under source.'
    if alike.str.contains(r",[0-9]{3}\.|,[0-9]{3},").any():
        return f'{_count(count)} commas between thousands: declare `thousands: ","` under source.'
    if alike.str.fullmatch(r"[-+]?[0-9]{1,3},[0-9]{3}").all():
        return (
            f"{_count(count)} a comma before three digits: under source, declare "
            '`decimal: ","` if it is a decimal comma, `thousands: ","` if it parts thousands.'
        )
    return f'{_count(count)} a decimal comma: declare `decimal: ","` under source.'


def _thousands(count: int, alike: pd.Series, column: str, source: Source) -> str:
    sign = "'" if alike.str.contains("['’]").any() else " "
    also = ' and `decimal: ","`' if alike.str.contains(",").any() else ""
    return f'{_count(count)} a sign between thousands: declare `thousands: "{sign}"`{also} under source.'


def _errors(count: int, alike: pd.Series, column: str, source: Source) -> str:
    found = sorted(alike.unique())
    return (
        f"{_count(count, 'is', 'are')} an error value of Excel ({_listed(found)}): mend the formula, or "
        f"{_missing(found, column, source)}."
    )


def _words(count: int, alike: pd.Series, column: str, source: Source) -> str:
    found = sorted(alike.unique())
    return f"{_count(count, 'is', 'are')} a usual word for a missing value: {_missing(found, column, source)}."


def _bounds(count: int, alike: pd.Series, column: str, source: Source) -> str:
    return (
        f"{_count(count, 'begins', 'begin')} with < or >, as beyond a limit of detection: decide which number stands "
        "for them and write it, or declare the column as `ordinal` with its levels."
    )


def _percent(count: int, alike: pd.Series, column: str, source: Source) -> str:
    return f'{_count(count, "ends", "end")} with %: take the sign out of the cells and declare `unit: "%"`.'


def _dates(count: int, alike: pd.Series, column: str, source: Source) -> str:
    said = f"{_count(count, 'is a date', 'are dates')}: a number is expected, such as days between two dates."
    if isinstance(source, ExcelSource):
        said += " Excel shows numbers so in a column formatted as dates, and makes a day of 3.5: format it as a number."
    return said


def _with_unit(count: int, alike: pd.Series, column: str, source: Source) -> str:
    units = sorted({unit for unit in alike.str.replace(rf"^{_NUMBER}\s*", "", regex=True) if unit.casefold() in UNITS})
    shown = f" ({_listed(units)})" if units else ""
    declared = f"`unit: {units[0]}`" if len(units) == 1 else "`unit:`"
    return f"{_count(count)} a unit behind the number{shown}: take it out of the cells; it is declared, {declared}."


def _yes_no(count: int, alike: pd.Series, column: str, source: Source) -> str:
    found = sorted(alike.unique(), key=lambda word: OUTCOMES[word.casefold()])
    levels = ", ".join(map(_quoted, found))
    return f"{_count(count, 'is', 'are')} one of {_listed(found)}: declare `type: nominal, levels: [{levels}]`."


def _like(pattern: str) -> Callable[[pd.Series], pd.Series]:
    return lambda text: text.str.fullmatch(pattern)


#: The first that fits a cell describes it.
_PATTERNS: tuple[tuple[Callable[[pd.Series], pd.Series], Describe], ...] = (
    (lambda text: text.str.casefold().isin(ERRORS), _errors),
    (lambda text: text.str.casefold().isin(MISSING), _words),
    (_like(_DATE), _dates),
    (_like(r"[-+]?[0-9]*[.,][0-9]+(?:[.,][0-9]+)*(?:[eE][-+]?[0-9]+)?"), _comma),
    (_like(r"[-+]?[0-9]{1,3}(?:[ \u00a0\u202f'’][0-9]{3})+(?:[.,][0-9]+)?"), _thousands),
    (_like(rf"[<>≤≥]=?\s*{_NUMBER}.*"), _bounds),
    (_like(rf"{_NUMBER}\s*%"), _percent),
    (_like(rf"{_NUMBER}\s*[A-Za-zµμ°][A-Za-zµμ°/²³0-9.^]{{0,9}}"), _with_unit),
    (lambda text: text.str.casefold().isin(OUTCOMES), _yes_no),
)


def _spelling(broken: pd.Series, declared: dict[str, str], key: str) -> str:
    """What to say where cells are declared words but for upper and lower case or blanks."""
    bare = {_bare(word): name for word, name in [*((name, name) for name in declared.values()), *declared.items()]}
    if key == "values":
        bare = {_bare(word): value for word, value in declared.items()}
    found = {word: bare[_bare(word)] for word in sorted(broken.unique()) if _bare(word) in bare}
    if not found:
        return ""
    count = int(broken.isin(list(found)).sum())
    whole = ", ".join(f"{_quoted(word)}: {_quoted(name)}" for word, name in (declared | found).items())
    return (
        f"{_count(count, 'is', 'are')} declared, but spelled otherwise ({_listed(list(found))}): correct the cells, or "
        f"declare `{key}: {{{whole}}}`."
    )


def _absent(broken: pd.Series, column: str, source: Source) -> str:
    """What to say where cells are words or codes for a missing value, or errors of Excel."""
    for pattern, describe in _PATTERNS[:2]:
        alike = pattern(broken)
        if alike.any():
            return describe(int(alike.sum()), broken[alike], column, source)
    codes = broken[pd.to_numeric(broken, errors="coerce").isin(CODES)]
    if len(codes) and len(codes) == len(broken):
        found = sorted(codes.unique())
        return (
            f"All of them are {_listed(found)}, as missing values are often coded: {_missing(found, column, source)}."
        )
    return ""


def _missing(words: Sequence[str], column: str, source: Source) -> str:
    """The line that declares words as missing: in every column, or numbers in this one, where others may hold them."""
    if not isinstance(source, OwnSource):
        return "make them missing in the data"
    numbers = all(re.fullmatch(_NUMBER, word) for word in words)
    before = [_mapping(item) if isinstance(item, dict) else _quoted(item) for item in source.missing]
    new = [_mapping({column: words})] if numbers else [_quoted(word) for word in words]
    return f"if they mean that, declare `missing: [{', '.join([*before, *new])}]` under source"


def _mapping(item: dict[str, Sequence[str]] | dict[str, tuple[str, ...]]) -> str:
    return "{" + ", ".join(f"{_quoted(name)}: [{', '.join(map(_quoted, words))}]" for name, words in item.items()) + "}"


def _quoted(word: str) -> str:
    """A word as YAML takes it for text or a number: with quotes where it could be read otherwise."""
    plain = re.fullmatch(r"[A-Za-zÀ-ɏ][\wÀ-ɏ .()/-]*|-?[0-9]+", word)
    return word if plain and word.casefold() not in ("true", "false", "null") else json.dumps(word, ensure_ascii=False)


def _count(count: int, one: str = "has", many: str = "have") -> str:
    return f"1 cell {one}" if count == 1 else f"{count} cells {many}"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)


def _bare(word: str) -> str:
    return re.sub(r"\s+", "", word).casefold()


def _text(values: pd.Series) -> pd.Series:
    return values.dropna().astype("str").str.strip()
