"""The search's history: how much each candidate gained from more trials."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from relapse.figures.style import describe, marks, new_figure
from relapse.wording import number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def tuning_history(frame: "pd.DataFrame", titles: Mapping[str, str], *, label: str) -> "Figure":
    """Best inner result so far by trial, averaged over the outer folds.

    ``frame`` as :func:`relapse.training.history.tuning_frame` gives it. A candidate of one trial is a point.
    """
    names = [name for name in titles if (frame["candidate"] == name).any()]
    figure = new_figure(2.6 + 0.12 * len(names))
    axes = figure.subplots()
    said = []
    for name, mark in marks(names).items():
        mine = frame[frame["candidate"] == name]
        trial, best = mine["trial"].to_numpy(), mine["best"].to_numpy()
        alone = len(mine) == 1
        axes.step(
            trial, best, where="post", color=mark.colour, linestyle="none" if alone else mark.dash,
            marker=mark.marker if alone else None, markersize=5, label=titles[name],
        )  # fmt: skip
        said.append(f"{titles[name]} {number(float(best[0]))} to {number(float(best[-1]))}")
    axes.set(xlabel="Trial", ylabel=f"Best inner {label} so far")
    figure.legend(loc="outside lower left", ncols=4, handlelength=3.2)
    return describe(figure, f"Best inner {label} from the first to the last trial: {'; '.join(said)}.")
