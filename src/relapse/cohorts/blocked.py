"""What a cohort's blocks, and its images, make of its features: which of them go together to a model or an explanation.

A part of :class:`relapse.cohorts.schema.Cohort`, and of nothing else.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from relapse.cohorts.declared.blocks import WIDE, Block, Method
from relapse.cohorts.declared.features import Feature, Known
from relapse.cohorts.declared.images import DceMri
from relapse.ground.workspace import kept_maps, project_of

if TYPE_CHECKING:
    import pandas as pd

#: The column of a canonical table that says which picture belongs to a row.
IMAGE = "image"


def caches(table: "pd.DataFrame") -> tuple[Path, ...]:
    """The caches of the projects whose pictures a table names, which fits read; none where it names no picture."""
    if IMAGE not in table:
        return ()
    return tuple({kept_maps(project_of(Path(path))).parent: None for path in table[IMAGE].dropna()})


class Blocked:
    """A declaration with ``features``, ``blocks`` of them, a ``reference``, and ``volumes`` where there are any."""

    __slots__ = ()

    if TYPE_CHECKING:
        features: Mapping[str, Feature]
        blocks: Mapping[str, Block]
        reference: tuple[str, ...]

        @property
        def volumes(self) -> DceMri | None:
            """Images that a candidate looks at."""

        @property
        def predictors(self) -> list[str]:
            """Names of the features known at baseline."""

        def numeric(self, names: list[str]) -> list[str]:
            """Those of ``names`` that are numbers."""

        def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
            """As pydantic has it."""

    def block_features(self, block: str) -> list[str]:
        """The predictors of a block, in declared order."""
        return [name for name in self.predictors if self.features[name].block == block]

    def block_inputs(self, block: str) -> list[str]:
        """All that a block gives to a model: its predictors, and :data:`IMAGE` where the images belong to it."""
        with_images = [IMAGE] if self.volumes and self.volumes.block == block else []
        return [*self.block_features(block), *with_images]

    def base_features(self, base: str) -> list[str]:
        """The predictors of a base that a block may be asked to add to: the reference, or a block beside it."""
        return [name for name in self.predictors if name in self.reference or self.features[name].block == base]

    @property
    def inputs(self) -> list[str]:
        """All that a model may be given: the predictors, and :data:`IMAGE` where there are images."""
        return [*self.predictors, *([IMAGE] if self.volumes else [])]

    def block_title(self, block: str) -> str:
        """A block's name for people."""
        return self.blocks[block].title or block

    def block_methods(self, block: str) -> tuple[Method, ...]:
        """The methods of dimension reduction that inner folds choose from for a block's numbers."""
        return self.blocks[block].methods(len(self.numeric(self.block_features(block))))

    @property
    def reducible(self) -> list[str]:
        """The blocks whose numbers may reach a model as fewer columns, so that no column stands for one of them."""
        return [name for name in self.blocks if self.block_features(name) and self.block_methods(name) != ("none",)]

    @property
    def explained(self) -> list[str]:
        """What explanations speak of: the predictors, and blocks in place of what is reduced or seen as a whole."""
        with_images = [self.volumes.block] if self.volumes else []
        together = [*self.reducible, *with_images]
        blocks = [self.features[name].block for name in self.predictors]
        parts = [block if block in together else name for name, block in zip(self.predictors, blocks, strict=True)]
        return [name for name in dict.fromkeys([*parts, *with_images]) if name is not None]

    @property
    def wide_blocks(self) -> dict[str, int]:
        """Blocks with more numbers than anybody looks at one by one, and how many they are."""
        counted = {name: len(self.numeric(self.block_features(name))) for name in self.blocks}
        return {name: count for name, count in counted.items() if count > WIDE}

    @property
    def one_by_one(self) -> Self:
        """The same cohort with the features that people look at one by one: without the numbers of wide blocks."""
        together = {name for block in self.wide_blocks for name in self.numeric(self.block_features(block))}
        kept = {name: feature for name, feature in self.features.items() if name not in together}
        return self.model_copy(update={"features": kept})

    def members(self, part: str) -> list[str]:
        """The inputs that a part of an explanation stands for."""
        return self.block_inputs(part) if part in self.blocks else [part]

    def part_title(self, part: str) -> str:
        """A part of an explanation for people, without a unit."""
        return self.block_title(part) if part in self.blocks else self.features[part].label or part

    def restricted(self, predictors: Collection[str], *, name: str) -> Self:
        """The same cohort under another name, with no other inputs than these; all else is described, as before.

        Its reference is made of all of them but the images.
        """
        features = {
            key: feature if key in predictors else feature.model_copy(update={"known": Known.AFTER})
            for key, feature in self.features.items()
        }
        reference = tuple(key for key in predictors if key != IMAGE)
        images = self.volumes if IMAGE in predictors else None
        return self.model_copy(update={"name": name, "features": features, "reference": reference, "images": images})
