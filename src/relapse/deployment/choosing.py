"""Which model answers a patient while two are there: by a keyed digest, so that the same patient keeps the same one."""

import hashlib
import hmac
import json
from enum import StrEnum


class Stage(StrEnum):
    """The old model alone; the new one asked in its shadow; a part of the patients; all of them."""

    OLD = "old"
    SHADOW = "shadow"
    PART = "part"
    ALL = "all"


def identity(body: bytes, names: bytes | None) -> bytes:
    """What a request is known by: the header that names the patient, else the patient's values whatever their order."""
    if names is not None:
        return b"name\0" + names
    try:
        return b"body\0" + json.dumps(json.loads(body), sort_keys=True).encode()
    except (ValueError, RecursionError):
        return b"body\0" + body


def belongs(key: bytes, who: bytes, share: float) -> bool:
    """Whether a patient is of the part that the new model answers: HMAC-SHA256 under a key, as a number below 1.

    A part grows by those who come to it: who is of a smaller share is of every larger one under the same key.
    """
    digest = hmac.new(key, who, hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share
