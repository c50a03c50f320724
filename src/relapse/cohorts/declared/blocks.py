"""What a cohort declares of its blocks: named groups of features, each asked what it adds to what is known already."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from relapse.ground.declarations import Declared

#: The base that every block may be asked about: the features of the clinical reference.
REFERENCE = "reference"

#: How the numbers of a block may be reduced before a model sees them: :mod:`relapse.preprocessing.reduction`.
Method = Literal["none", "filter", "clusters", "screen", "pca"]
METHODS: tuple[Method, ...] = ("none", "filter", "clusters", "screen", "pca")

#: A block of more numbers than this is wide: unless it is declared otherwise, all methods are tried on it.
WIDE = 30


class Block(Declared):
    """A group of features that are had, or not had, together; a feature names its block under ``block``.

    ``over`` names the bases that the block is asked to add to: ``reference``, or another block, which then stands
    beside the reference. A model that needs a ``costly`` block becomes champion only where the block was shown to add
    something. ``reduce`` names the methods of dimension reduction that inner folds choose from, all of them for a wide
    block where nothing is declared; ``harmonise`` takes out of the block's numbers what differs between sites.
    """

    title: str | None = None
    description: str | None = None
    over: Annotated[tuple[str, ...], Field(min_length=1)] = (REFERENCE,)
    costly: bool = False
    reduce: Annotated[tuple[Method, ...], Field(min_length=1)] | None = None
    harmonise: Literal["none", "combat"] = "none"

    @field_validator("reduce", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("reduce")
    @classmethod
    def _each_once(cls, value: tuple[Method, ...] | None) -> tuple[Method, ...] | None:
        """In one order, whatever order they are declared in: the search would hang on it."""
        if value is not None and len(set(value)) < len(value):
            raise ValueError("each method is named once.")
        return value and tuple(method for method in METHODS if method in value)

    def methods(self, numbers: int) -> tuple[Method, ...]:
        """The methods that inner folds choose from, for a block of so many numbers."""
        if self.reduce is not None:
            return self.reduce
        return METHODS if numbers > WIDE else ("none",)
