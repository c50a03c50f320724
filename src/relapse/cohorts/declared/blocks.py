"""What a cohort declares of its blocks: named groups of features, each asked what it adds to what is known already."""

from typing import Annotated

from pydantic import Field

from relapse.ground.declarations import Declared

#: The base that every block may be asked about: the features of the clinical reference.
REFERENCE = "reference"


class Block(Declared):
    """A group of features that are had, or not had, together; a feature names its block under ``block``.

    ``over`` names the bases that the block is asked to add to: ``reference``, or another block, which then stands
    beside the reference. A model that needs a ``costly`` block becomes champion only where the block was shown to add
    something.
    """

    title: str | None = None
    description: str | None = None
    over: Annotated[tuple[str, ...], Field(min_length=1)] = (REFERENCE,)
    costly: bool = False
