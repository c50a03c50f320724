"""The files of explanations: Shapley values, summaries, and figures with the frames they are drawn from."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from relapse.cohorts.schema import Cohort
from relapse.evaluation.evidence import endpoint_of
from relapse.explanation.hazards import panel_title
from relapse.explanation.out_of_fold import Explained
from relapse.explanation.regression import Regression
from relapse.explanation.saved import as_explanation
from relapse.figures.explanation.drawn import (
    beeswarm,
    beeswarm_frame,
    importance,
    importance_frame,
    waterfall,
    waterfall_frame,
)
from relapse.figures.explanation.hazards import hazards_over_time
from relapse.figures.style import save
from relapse.ground.files import write_csv, write_json, write_parquet
from relapse.ground.workspace import EXPLANATION, HAZARDS, SHAPLEY

if TYPE_CHECKING:
    import shap


def write_explanation(
    folder: Path, explained: Explained, table: pd.DataFrame, cohort: Cohort, *, candidate: str, title: str
) -> None:
    """Write what was found about one candidate into ``folder``; ``title`` is the candidate's for people."""
    metric = endpoint_of(cohort).primary.label
    heading = f"{title}, {cohort.title}"
    single, typical = _explanations(explained, table, cohort)
    frames = {
        "beeswarm": beeswarm_frame(single, cohort),
        "importance": importance_frame(explained, cohort),
        "waterfall": waterfall_frame(typical, cohort),
    }
    figures = {
        "beeswarm": beeswarm(frames["beeswarm"], scale=explained.scale, title=heading),
        "importance": importance(frames["importance"], scale=explained.scale, metric=metric, title=heading),
        "waterfall": waterfall(frames["waterfall"], scale=explained.scale, title=heading),
    }
    for name, frame in frames.items():
        write_csv(folder / f"{name}.csv", frame)
        save(figures[name], folder / name)
    write_parquet(folder / SHAPLEY, explained.shap)
    write_json(
        folder / EXPLANATION,
        {
            "cohort": cohort.name,
            "candidate": candidate,
            "title": title,
            "scale": explained.scale,
            "metric": metric,
            "rows": len(explained.shap),
            "of_rows": len(table),
            "patients": explained.shap["patient"].nunique(),
            "of_patients": table["patient"].nunique(),
            "features": cohort.explained,
            "importance": [asdict(item) for item in explained.importance],
            "shap_stability": asdict(explained.shap_stability),
            "loss_stability": asdict(explained.loss_stability),
        },
    )


def _explanations(
    explained: Explained, table: pd.DataFrame, cohort: Cohort
) -> "tuple[shap.Explanation, shap.Explanation]":
    """Of the held-out rows, and of the typical patients."""
    found, rows = explained.shap, table.set_index("row", drop=False).loc[explained.shap["row"]]
    typical = explained.typical_values
    return (
        as_explanation(
            found[cohort.explained].to_numpy(), found["base"].to_numpy(), rows, cohort, scale=explained.scale
        ),
        as_explanation(
            typical.values, np.full(len(typical.values), typical.base), explained.typical, cohort, scale=explained.scale
        ),
    )


def write_regression(path: Path, found: Regression, frame: pd.DataFrame | None, *, cohort: Cohort) -> None:
    """Write ratios, equation and tests to ``path``, and beside it the picture of hazards over time with its frame."""
    write_json(path, asdict(found))
    if frame is None or found.reference is None or cohort.survival is None:
        return
    fitted = {panel_title(row): float(np.log(row.ratio)) for row in found.reference.rows}
    beside = path.with_name(HAZARDS)
    write_csv(beside.with_suffix(".csv"), frame)
    save(hazards_over_time(frame, fitted, unit=cohort.survival.unit), beside)
