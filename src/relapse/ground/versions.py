"""What runs here: the versions of packages that can change a result, and a digest of the library's own code."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import relapse

#: Distributions whose version can change a trial's value or a prediction.
VERSIONED = (
    "catboost",
    "imbalanced-learn",
    "numpy",
    "optuna",
    "pandas",
    "scikit-learn",
    "scikit-survival",
    "scipy",
    "torch",
    "xgboost-cpu",
)


def versions() -> dict[str, str]:
    """The version of each of :data:`VERSIONED`."""
    return {name: version(name) for name in VERSIONED}


@cache
def code_digest() -> str:
    """SHA-256 of every file of the library, by name and content: two commits that differ in one of them differ here."""
    root = Path(relapse.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
