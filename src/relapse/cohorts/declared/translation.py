"""What a cohort declares of how its features are those of a model that was trained elsewhere."""

from itertools import pairwise

from pydantic import model_validator

from relapse.ground.declarations import Declared


class Translation(Declared):
    """How a model's feature is made from one of this cohort: of the same name where ``feature`` is not given.

    ``levels`` maps level names of this cohort to the model's, where they differ. ``cut`` makes the levels of the
    model's feature, in their order, from a number: up to the first cut, above it up to the second, …
    """

    feature: str | None = None
    levels: dict[str, str] | None = None
    cut: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Translation":
        if self.levels is not None and self.cut is not None:
            raise ValueError("give levels for a feature with levels, or cut for a number, not both.")
        if self.cut is not None and any(later <= earlier for earlier, later in pairwise(self.cut)):
            raise ValueError("cut: the numbers rise, each given once.")
        return self
