"""How a search went: the best inner result after each trial."""

from collections.abc import Mapping

import pandas as pd


def tuning_frame(trials: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The best value so far, averaged over the folds of the first repeat and the final search.

    Parameters
    ----------
    trials
        Candidate name to its trials, as training gives them.

    Returns
    -------
    DataFrame
        ``candidate``, ``trial`` from 1, ``best`` (mean inner AUC or C of the best set so far), ``lowest`` and
        ``highest`` of the folds. A fold counts from its first finished trial on.
    """
    import numpy as np

    parts = []
    for name, table in trials.items():
        mine = table[table["repeat"] <= 0]
        wide = mine.pivot_table(index="number", columns="fold", values="value", aggfunc="first", dropna=False)
        finished = mine.assign(done=mine["state"] == "complete").pivot_table(
            index="number", columns="fold", values="done", aggfunc="first"
        )
        best = wide.where(finished.reindex_like(wide).fillna(False).astype(bool)).cummax().ffill()
        best = best[best.notna().any(axis=1)]
        values = best.to_numpy(dtype=np.float64)
        parts.append(
            pd.DataFrame(
                {
                    "candidate": name,
                    "trial": best.index.to_numpy() + 1,
                    "best": np.nanmean(values, axis=1),
                    "lowest": np.nanmin(values, axis=1),
                    "highest": np.nanmax(values, axis=1),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
