"""Two states of a model's making that can be held against each other, whether registered or as they lie here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from relapse.bundle.load import Description
from relapse.change.kept import Kept

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class State:
    """What a model was, or would be, made from.

    ``declaration`` is the resolved one, as plain values; ``params`` what ``params.yaml`` says, with the budget put in,
    None where it was not recorded; ``sources`` where each source lies; ``rows`` has the columns ``row`` and ``patient``
    of the canonical table; ``kept`` is None in states from before it was recorded. ``candidate`` is empty where none
    has been put forward yet.
    """

    candidate: str
    declaration: Mapping[str, Any]
    params: Mapping[str, Any] | None
    sources: Mapping[str, str]
    table_hash: str
    rows: "pd.DataFrame"
    packages: Mapping[str, str]
    kept: Kept | None

    @classmethod
    def registered(cls, found: Description, *, rows: "pd.DataFrame", kept: Kept | None) -> "State":
        """The state behind a registered bundle."""
        manifest = found.manifest
        origin = manifest.origin
        return cls(
            candidate=manifest.candidate,
            declaration=found.cohort.model_dump(mode="json", by_alias=True),
            params=origin.params if origin else None,
            sources={item.name: item.where for item in origin.sources} if origin else {},
            table_hash=manifest.table_hash,
            rows=rows,
            packages=manifest.packages,
            kept=kept,
        )
