"""Where candidates that see pictures look: Grad-CAM of patients of high and of low risk, out of fold."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from relapse.candidates.picture_score import score_of
from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.blocked import IMAGE
from relapse.figures.style import INK, describe, drawing, new_figure
from relapse.imaging.overlay import draw_painted
from relapse.imaging.stored import open_picture
from relapse.wording import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Patients of highest and of lowest output that are shown.
EACH = 6


def attention(
    table: pd.DataFrame, shap: pd.DataFrame, models: Mapping[int, RiskModel], *, scale: str, title: str
) -> "Figure":
    """Draw the middle slice of pictures with what raises the output painted over them, all on one scale.

    Nobody is named: pictures stand in the order of the output.

    Parameters
    ----------
    table
        Typed canonical table, with the paths of pictures.
    shap
        Columns ``row``, ``fold`` and ``output``, as :class:`relapse.explanation.out_of_fold.Explained` has them.
    models
        By the fold that each has not seen.
    """
    ranked = shap.sort_values(["output", "row"], ascending=[False, True], ignore_index=True)
    shown = pd.concat([ranked.head(EACH), ranked.tail(EACH)]).drop_duplicates("row")
    paths = table.set_index("row")[IMAGE]
    found = []
    for row, fold, output in shown[["row", "fold", "output"]].itertuples(index=False):
        score = score_of(models[int(fold)])
        if score is not None:
            found.append((open_picture(Path(paths[row])), score.attention(paths[row]), float(output)))
    most = max((float(seen.max()) for _, seen, _ in found), default=0.0)
    with drawing():
        figure = new_figure(2.9)
        figure.suptitle(title, fontsize=9, x=0.01, ha="left", color=INK)
        places = figure.subplots(2, EACH).ravel()
        for place in places:
            place.set_axis_off()
        for place, (picture, seen, output) in zip(places, found, strict=False):
            draw_painted(place, picture, seen, len(picture.mask) // 2, most=most)
            place.set_title(f"{number(output, 2)}", fontsize=7)
    ends = f"{EACH} patients of highest {scale} above, {EACH} of lowest below"
    return describe(figure, f"{title}. Grad-CAM over the pictures of {ends}; outlined: the tumour's mask.")
