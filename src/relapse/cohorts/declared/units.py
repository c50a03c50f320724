"""Units that one column may be recorded in and another be wanted in: lengths, areas, volumes, masses, times."""

#: How many days a unit of time has; a year is 365.25 days, a month a twelfth of it.
DAYS_PER = {"day": 1.0, "week": 7.0, "month": 365.25 / 12, "year": 365.25}

#: Units by what they measure, each with how many of the first of its kind it is.
_KINDS: tuple[dict[str, float], ...] = (
    {"mm": 1.0, "µm": 1e-3, "cm": 10.0, "m": 1000.0, "inch": 25.4},
    {"mm2": 1.0, "mm²": 1.0, "cm2": 100.0, "cm²": 100.0},
    {"mm3": 1.0, "mm³": 1.0, "cm3": 1000.0, "cm³": 1000.0, "ml": 1000.0, "cc": 1000.0},
    {"g": 1.0, "mg": 1e-3, "kg": 1000.0},
    {"ng/ml": 1.0, "pg/ml": 1e-3, "µg/l": 1.0, "µg/ml": 1000.0},
    {"fraction": 1.0, "%": 0.01},
    {spelled: days for unit, days in DAYS_PER.items() for spelled in (unit, f"{unit}s")},
)

#: Every unit that can be converted.
CONVERTED = tuple(unit for kind in _KINDS for unit in kind)


def factor(recorded: str, wanted: str) -> float:
    """What a number in unit ``recorded`` is multiplied by to be in unit ``wanted``.

    Raises
    ------
    ValueError
        One of them is unknown here, or they measure different things.
    """
    for kind in _KINDS:
        if recorded in kind and wanted in kind:
            return kind[recorded] / kind[wanted]
    raise ValueError(
        f"{recorded!r} cannot be converted to {wanted!r}. Units of one kind can: "
        f"{'; '.join(', '.join(kind) for kind in _KINDS)}."
    )


def unit_of_time(unit: str | None) -> str | None:
    """The name of a unit of time, without a plural s; None where it is none."""
    singular = unit.removesuffix("s") if unit else None
    return singular if singular in DAYS_PER else None
