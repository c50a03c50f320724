"""Words that tables are full of, in lower case: codes of an outcome, words and codes for missing, units, errors."""


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


_NONE = _words("0, no, n, false, f, none, never, absent, neg, negative, censored, alive, living, nein, nie, non, faux")
_SOME = _words(
    "1, 2, yes, y, true, t, present, pos, positive, event, relapse, relapsed, recurrence, recurred, dead, died, "
    "deceased, ja, j, rezidiv, oui, vrai, si"
)

#: What the words of an outcome usually mean.
OUTCOMES = dict.fromkeys(_NONE, 0) | dict.fromkeys(_SOME, 1)

MISSING = frozenset(
    _words(
        "., .., -, --, ---, –, ?, ??, *, /, x, na, n/a, n.a., n.a, nan, nd, n.d., nk, n.k., nc, np, k.a., k. a., unk, "
        "unk., unknown, missing, none, null, nil, not known, not available, not applicable, not collected, not done, "
        "not reported, not recorded, unbekannt, fehlt, fehlend, keine angabe, inconnu"
    )
)

CODES = frozenset(float(f"{sign}{digit * times}") for digit in "789" for times in range(1, 6) for sign in ("", "-"))

UNITS = frozenset(
    _words(
        "mm, cm, m, µm, mm2, cm2, mm², cm², mm3, cm3, mm³, cm³, ml, cc, g, kg, hu, y, yr, yrs, year, years, mo, month, "
        "months, wk, week, weeks, d, day, days, j, jahre, monate, tage, ng/ml, pg/ml, fmol/mg, u/ml, kg/m2, kg/m²"
    )
)

#: Excel's error values, as English and German versions write them.
ERRORS = frozenset(_words("#n/a, #div/0!, #ref!, #value!, #name?, #num!, #null!, #nv, #wert!, #bezug!, #zahl!"))
