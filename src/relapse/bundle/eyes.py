"""What a bundle needs to look at pictures: the frozen encoder as ONNX, and how the training's pictures look.

It stands in the bundle of a model that sees pictures, and needs no torch to serve.
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relapse.bundle.manifest import EYES, FAMILIARITY, TRUNK
from relapse.cohorts.declared.images import DceMri
from relapse.ground.errors import BundleError, SourceError
from relapse.ground.files import write_atomic

if TYPE_CHECKING:
    import pandas as pd

    from relapse.candidates.picture_score import Sight
    from relapse.candidates.risk_model import RiskModel
    from relapse.imaging.encoder.exported import Trunk
    from relapse.imaging.familiarity import Familiarity, Verdict
    from relapse.imaging.slices import Picture


@dataclass(frozen=True, slots=True)
class Eyes:
    """A frozen encoder, and what it knows of the training's pictures (None where those were too few to say)."""

    trunk: "Trunk"
    familiarity: "Familiarity | None"

    def see(self, picture: "Picture") -> "Sight":
        """What a model is given for a picture."""
        from relapse.candidates.picture_score import Sight

        return Sight(self.trunk.maps(picture))

    def judge(self, picture: "Picture", sight: "Sight") -> "Verdict | None":
        """How far a picture is from those of the training; None where nothing can be said."""
        return None if self.familiarity is None else self.familiarity.judge(picture, sight.maps)


def write_eyes(folder: Path, model: "RiskModel", table: "pd.DataFrame") -> tuple[str, ...]:
    """Write what a model needs to look at pictures; the names of the files, none where it looks at none.

    Parameters
    ----------
    table
        The typed canonical table that the model was trained on.
    """
    from relapse.candidates.picture_score import open_encoder, score_of

    score = score_of(model)
    if score is None:
        return ()
    from relapse.cohorts.blocked import IMAGE
    from relapse.ground.workspace import project_of
    from relapse.imaging.encoder.exported import export
    from relapse.imaging.familiarity import learn, pooled, statistics
    from relapse.imaging.stored import open_picture

    paths = [Path(path) for path in dict.fromkeys(table[IMAGE])]
    pictures = [open_picture(path) for path in paths]
    encoder = open_encoder(score.network, score.weights, project_of(paths[0]))
    content = export(encoder, size=pictures[0].channels.shape[-1])
    write_atomic(folder / TRUNK, lambda temporary: temporary.write_bytes(content))
    maps, _ = score.maps([str(path) for path in paths])
    try:
        known = learn(np.stack([statistics(one) for one in pictures]), np.stack([pooled(one) for one in maps])).arrays()
    except ValueError:
        # Too few pictures to say what is unlike them.
        known = {}
    packed = io.BytesIO()
    np.savez(packed, **known)  # type: ignore[arg-type]  # the stubs take the arrays for the option allow_pickle
    write_atomic(folder / FAMILIARITY, lambda temporary: temporary.write_bytes(packed.getvalue()))
    return EYES


def read_eyes(folder: Path) -> Eyes | None:
    """The eyes of a verified bundle; None where it has none.

    Raises
    ------
    BundleError
        A file is not what :func:`write_eyes` writes.
    """
    if not (folder / TRUNK).is_file():
        return None
    from relapse.imaging.encoder.exported import Trunk
    from relapse.imaging.familiarity import Familiarity

    try:
        with np.load(io.BytesIO((folder / FAMILIARITY).read_bytes()), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        known = Familiarity.from_arrays(arrays) if arrays else None
        return Eyes(Trunk((folder / TRUNK).read_bytes()), known)
    except (SourceError, OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"{folder}: what it looks at pictures with cannot be read. {error}") from None


def noise(images: DceMri) -> "Picture":
    """A picture of nothing, of the declared size, to try a model with."""
    from relapse.imaging.slices import Picture

    declared = images.preprocessing
    slices, size = declared.slices, declared.size
    drawn = np.random.default_rng(0).standard_normal((slices, len(images.phases), size, size))
    mask = np.zeros((slices, size, size), dtype=np.bool_)
    mask[:, size // 4 : -size // 4, size // 4 : -size // 4] = True
    return Picture(drawn.astype(np.float16), mask, np.full(slices, 2 * declared.margin + 20.0, dtype=np.float32))
