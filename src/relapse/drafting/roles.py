"""What a column is for, by its name and what it holds: patient, site, outcome, time, unit, when it is known.

Names are guesses, and every one is said to be: the declaration marks it for a person to look at.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from relapse.cohorts.declared.endpoint import Horizon, horizon
from relapse.cohorts.diagnosis.words import UNITS
from relapse.cohorts.size import MIN_EACH
from relapse.drafting.columns import Column, sides

Columns = Mapping[str, Column]

_PATIENT = re.compile(
    r"(usubj|subj(ect)?|pat(ient)?|pid|case|record|study|participant|person|woman|mrn|fall)?[ _.-]*"
    r"(id(entifier)?|nr|no|num(ber)?|code|name|nummer)|pid|mrn|patient|subject|case|participant|.*patient.*id.*"
)
_SITE = re.compile(
    r"(.* )?(site|cent(er|re)|hospital|clinic|inst(itution)?|scanner|manufacturer|vendor|klinik|zentrum|collection)"
    r"( (id|name|code))?"
)
_RELAPSE = re.compile(
    r"relaps|recur|rezidiv|r[ée]cidiv|\b[rdep]fs\b|\b(r|d|p|b?c|dr)fi\b|\bd?dmfs\b|cens ?rec|progress|distant metast|"
    r"metastas(i|e)s"
)
_DEATH = re.compile(r"death|\bdead|died|deceas|vital|\bos\b|mortal|cens ?dead|alive|surv|\bdtime\b")
_NO_OUTCOME = re.compile(r"nod(e|al)|recept|menopaus|\b(er|pr|pgr|her2|hr)\b|smok|performance|marital")
_STATUS = re.compile(r"event|status|outcome|cens|label|target|indicator|\by\b")
_TIME = re.compile(
    r"time|months?\b|days?\b|years?\b|weeks?\b|durat|follow|\bfu\b|surv|\b[rdep]?fs\b|\bos\b|\bt\b|monate|tage|jahre"
)
_NO_TIME = re.compile(r"\bage\b|alter|birth|born|menopaus|calendar|menarch|echo|repetition|acquisition")
_AFTER = re.compile(
    r"treat|therap|chemo|radiother|radiation|irradiat|\brt\b|surger|mastect|tamox|hormon(?!.*recept)|\bhor ?th\b|"
    r"endocrine|respon|\bpcr\b|adjuv|trastuz|hercept|toxic|\blast\b|follow|\bfu\b|event free"
)
_BEGIN = re.compile(r"diagn|\bdx\b|baseline|inclusion|enrol|registr|random|surger|\bop\b|entry|begin|start")
_BIRTH = re.compile(r"birth|\bdob\b|\bborn\b|geburt")
_END = re.compile(r"last|follow|\bfu\b|contact|\bend\b|censor|seen|relaps|recur|rezidiv")

#: The usual clinical predictors of relapse, in the order in which a reference model takes them; up to four.
_CLINICAL = (
    re.compile(r"size|diam|\bt ?stage|tumou?r ?stage"),
    re.compile(r"node|nodal|lymph|\bn ?stage|\bfac n\b|\bn\b"),
    re.compile(r"grad"),
    re.compile(r"\ber\b|\bhr\b|o?estro?g|\bestrec|hormone? recept"),
    re.compile(r"\bher ?2|erbb2"),
    re.compile(r"\bstage"),
    re.compile(r"\bage\b|alter"),
)
_ORDERED = re.compile(r"grad|stage|birads|bi rads|densit|score|ecog|karno|degree|margin|performance")
_COUNTED = re.compile(r"node|number|count|\bn ?pos|anzahl|parity|lesions")
_SIZED = re.compile(r"size|diam|width|length|thick")

#: Orders that words themselves have.
_ORDERS = (
    ("i", "ii", "iii", "iv", "v"),
    ("low", "intermediate", "high"),
    ("low", "medium", "high"),
    ("low", "moderate", "high"),
    ("well diff", "intermediate", "poorly diff"),
    ("well", "moderate", "poor"),
    ("negative", "equivocal", "positive"),
    ("small", "medium", "large"),
    ("none", "mild", "moderate", "severe"),
    ("circumscribed", "obscured", "ill-defined", "spiculated"),
)

#: Horizons that are looked at, the first two that fit a table's follow-up being proposed.
_HORIZONS = ("5 y", "3 y", "2 y", "1 y", "10 y", "6 m", "3 m")


def words(name: str) -> str:
    """A column's name as lower-case words: ``RFS_MONTHS``, ``rfsMonths`` and ``rfs.months`` are all *rfs months*."""
    parted = re.sub(r"(?<=[a-zà-ÿ])(?=[A-Z])", " ", name)
    return re.sub(r"[^a-zà-ÿ0-9%µ]+", " ", parted.lower()).strip()


def patient_of(columns: Columns) -> str | None:
    """The column that names the patient: an identifier by its name, filled in every row."""
    for name, column in columns.items():
        plain = re.sub(r"^num |^fac ", "", words(name)).replace(" ", "_")
        filled = column.missing == 0 and column.distinct > 0.2 * len(column.values) and column.kind != "date"
        if filled and _PATIENT.fullmatch(plain) and (column.kind != "number" or column.whole):
            return name
    return None


def site_of(columns: Columns) -> str | None:
    """The column of hospital or scanner: a few values by that name, filled in every row."""
    for name, column in columns.items():
        few = 2 <= column.distinct <= 50 and column.kind in ("levels", "number", "text")
        if few and column.missing == 0 and of_a_site(name):
            return name
    return None


def of_a_site(name: str) -> bool:
    """Whether a name speaks of a hospital or scanner."""
    return bool(_SITE.fullmatch(words(name)))


def outcomes_of(columns: Columns) -> list[str]:
    """The columns that may hold the outcome, the likeliest first: relapse before any event, and death last."""
    found = []
    for name, column in columns.items():
        said, codes = words(name), sides(column)
        relapse, status, death = (bool(kind.search(said)) for kind in (_RELAPSE, _STATUS, _DEATH))
        if is_no_outcome(name):
            continue
        dated = (column.kind == "date" and relapse and 0 < column.missing < 1) or is_day_of(column)
        if (column.two_valued or dated) and (relapse or status or death) and not _BEGIN.search(said):
            likely = 4 * relapse + 2 * status + (codes is not None) + death - 3 * (death and not relapse) - dated
            found.append((-likely, list(columns).index(name), name))
    return [name for _, _, name in sorted(found)]


def is_day_of(column: Column) -> bool:
    """Whether a number is the day of a relapse, 0 where there was none."""
    said, known = words(column.name), column.values.dropna()
    if column.kind != "number" or column.two_valued or not (_RELAPSE.search(said) and re.search(r"days?\b", said)):
        return False
    return bool((known >= 0).all() and (known == 0).mean() > 0.2)


def is_no_outcome(name: str) -> bool:
    """Whether a name speaks of what a patient has at the beginning, though a word in it is one of outcomes, too."""
    return bool(_NO_OUTCOME.search(words(name))) and not is_relapse(name)


def is_relapse(name: str) -> bool:
    """Whether a column speaks of relapse."""
    return bool(_RELAPSE.search(words(name)))


def is_death(name: str) -> bool:
    """Whether a column speaks of death and not of relapse."""
    return bool(_DEATH.search(words(name))) and not _RELAPSE.search(words(name))


def times_of(columns: Columns, outcome: str) -> list[str]:
    """The columns that may hold the time to the outcome, the likeliest first."""
    mine, found = words(outcome), []
    coded = columns[outcome].kind != "date"
    told = columns[outcome].values.dropna().index if coded else columns[outcome].values.index
    for name, column in columns.items():
        said = words(name)
        if name == outcome or column.kind != "number" or not _TIME.search(said) or _NO_TIME.search(said):
            continue
        known = column.values.dropna()
        if (known < 0).any() or column.distinct < min(10, len(known) / 3) or _calendar(column):
            continue
        shared = len(set(re.findall(r"[a-z]+", said)) & set(re.findall(r"[a-z]+", mine)))
        stem = _stem(said) == _stem(mine) and bool(_stem(said))
        kin = bool(_RELAPSE.search(said)) and bool(_RELAPSE.search(mine))
        odd = is_death(name) != is_death(outcome)
        general = bool(re.search(r"time|durat|follow|\bfu\b", said))
        # A time that most rows do not have is that of the event alone, and no follow-up.
        rare = known.reindex(told).isna().mean() > 0.5
        likely = 3 * shared + 3 * stem + 2 * kin + general - 2 * odd - 9 * rare
        found.append((-likely, list(columns).index(name), name))
    return [name for _, _, name in sorted(found)]


def _stem(said: str) -> str:
    """What is left of a name without the words that tell time from event: *rectime* and *censrec* are both *rec*."""
    return re.sub(r"time|cens|status|event|months?|days?|years?|date|to|last|\bt\b|[^a-z]", "", said)[:3]


def _calendar(column: Column) -> bool:
    known = column.values.dropna()
    return bool(len(known)) and column.whole and bool(known.between(1900, 2100).all())


def span_of(columns: Columns, outcome: str) -> tuple[str, tuple[str, ...]] | None:
    """The dates that time begins and ends with, where there are such: one of diagnosis, and those of its end."""
    dates = {name: words(name) for name, column in columns.items() if column.kind == "date"}
    begin = [name for name, said in dates.items() if _BEGIN.search(said) and not _BIRTH.search(said)]
    ends = [
        name
        for name, said in dates.items()
        if name not in (*begin, outcome) and _END.search(said) and not _BIRTH.search(said)
    ]
    begin = sorted(begin, key=lambda name: columns[name].missing)
    return (begin[0], tuple(ends)) if begin and ends else None


def birth_of(columns: Columns) -> str | None:
    """The date of birth."""
    return next(
        (name for name, column in columns.items() if column.kind == "date" and _BIRTH.search(words(name))), None
    )


def unit_of_time_in(name: str, column: Column) -> tuple[str, bool]:
    """The unit of a time, and whether its name says so; else what its largest values would be."""
    said = words(name)
    for unit, pattern in (
        ("day", r"days?\b|tage"),
        ("month", r"mon(th)?s?\b|\bmos?\b|monate"),
        ("year", r"years?\b|yrs?\b|jahre"),
        ("week", r"weeks?\b|wks?\b"),
    ):
        if re.search(pattern, said):
            return unit, True
    longest = float(column.values.quantile(0.95))
    return ("day" if longest > 400 else "month" if longest > 30 else "year"), False


def horizons_for(time: np.ndarray, event: np.ndarray, unit: str) -> list[Horizon]:
    """Two horizons that enough patients are followed beyond, and had the event by, rising; fewer where none is."""
    fitting = []
    for label in _HORIZONS:
        item = horizon(label, unit)
        beyond, by = (time > item.time).sum(), (event & (time <= item.time)).sum()
        if min(beyond, by) >= MIN_EACH:
            fitting.append(item)
    return sorted(fitting[:2], key=lambda item: item.time)


def known_after(name: str) -> str | None:
    """Why a column is likely known only after baseline; None where nothing says so."""
    said = words(name)
    if _DEATH.search(said) or _RELAPSE.search(said):
        return "its name speaks of an outcome"
    return "its name speaks of treatment, response or follow-up" if _AFTER.search(said) else None


def reference_of(names: Sequence[str]) -> list[str]:
    """Up to four usual clinical predictors among the features known at baseline."""
    found: list[str] = []
    for pattern in _CLINICAL:
        match = next((name for name in names if pattern.search(words(name)) and name not in found), None)
        found += [match] if match and len(found) < 4 else []
    return found


def clinical(name: str) -> bool:
    """Whether a name is that of a usual clinical predictor."""
    return any(pattern.search(words(name)) for pattern in _CLINICAL)


def unit_in(name: str) -> str | None:
    """The unit that a name tells: *size_mm*, *Size (cm)*; years of an age."""
    said = words(name)
    inside = re.findall(r"[\[(]\s*([^\])]+?)\s*[\])]", name)
    for token in (*inside, *said.split()):
        if token.casefold() in UNITS - {"m", "d", "j", "g", "y", "mo"} or token == "%":
            return token
    return "years" if re.search(r"\bage\b|\balter\b", said) else None


def sized(name: str) -> bool:
    """Whether a name speaks of a length."""
    return bool(_SIZED.search(words(name)))


def counted(name: str) -> bool:
    """Whether a name speaks of a count."""
    return bool(_COUNTED.search(words(name)))


def ordered(name: str) -> bool:
    """Whether a name speaks of something that has an order."""
    return bool(_ORDERED.search(words(name)))


def order_of_levels(levels: Sequence[str]) -> list[str] | None:
    """Levels in the order that their words or bounds have; None where they have none."""
    plain = {level: re.sub(r"^(grade|stage|g)\s*", "", level.casefold()).strip() for level in levels}
    for order in _ORDERS:
        if len(levels) > 1 and set(plain.values()) <= set(order) and len(set(plain.values())) == len(levels):
            return sorted(levels, key=lambda level: order.index(plain[level]))
    bounds = {level: re.findall(r"\d+(?:\.\d+)?", level) for level in levels}
    if all(bounds.values()) and all(
        re.fullmatch(r"[<>≤≥=]*\s*\d.*|.*\d+\s*[-–].*\d.*|[a-z]?\d\+?", level.casefold()) for level in levels
    ):

        def place(level: str) -> tuple[float, int]:
            low = float(bounds[level][0])
            return (low, -1 if level.lstrip()[:1] in "<≤" else 1 if level.lstrip()[:1] in ">≥" else 0)

        return sorted(levels, key=place)
    return None
