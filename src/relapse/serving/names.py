"""Who a request is about: names in a header, for the monitoring store alone; they reach no model, log or answer."""

from urllib.parse import unquote

#: The header: a name for each patient of the body, percent-encoded, parted by commas.
PATIENT_HEADER = b"relapse-patient"

#: Most characters of a name.
LONGEST = 200

WRONG_NAMES = (
    "The header Relapse-Patient names each patient of the body once, in their order: different names of at most "
    f"{LONGEST} characters, percent-encoded, parted by commas. Leave it out where outcomes are not to be joined."
)


def named(header: bytes | str | None) -> list[str] | None:
    """The names that a header gives: None without a header, none where one is empty, too long or given twice."""
    if header is None:
        return None
    text = header.decode("latin-1") if isinstance(header, bytes) else header
    names = [unquote(part.strip()) for part in text.split(",")]
    whole = all(0 < len(name) <= LONGEST for name in names) and len(set(names)) == len(names)
    return names if whole else []
