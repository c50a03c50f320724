"""The one place where a candidate is added: its name and its module, simplest first.

The module defines ``FAMILY``, a :class:`relapse.candidates.base.Family`. It is imported only when asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from relapse.ground.errors import DeclarationError

if TYPE_CHECKING:
    from relapse.candidates.base import Family

#: The clinical model: always there, and what every other candidate is held against.
REFERENCE = "reference"

MODULES = {
    REFERENCE: "relapse.candidates.reference",
    "linear": "relapse.candidates.linear",
    "svm": "relapse.candidates.svm",
    "forest": "relapse.candidates.forest",
    "xgboost": "relapse.candidates.xgboost",
    "catboost": "relapse.candidates.catboost",
    "mlp": "relapse.candidates.mlp",
    "cnn1d": "relapse.candidates.cnn1d",
    "efficientnet_lite0": "relapse.candidates.efficientnet_lite0",
    "densenet121": "relapse.candidates.densenet121",
}


def family(name: str) -> "Family":
    """The family called ``name``.

    Raises
    ------
    DeclarationError
        There is none of that name.
    """
    if name not in MODULES:
        raise DeclarationError(f"params.yaml: candidates: {name!r} is unknown. There are: {', '.join(MODULES)}.")
    found: Family = import_module(MODULES[name]).FAMILY
    return found
