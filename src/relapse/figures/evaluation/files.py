"""The files of an evaluation: evidence as JSON, the frames of all figures as CSV, and the figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from relapse.evaluation.curves import curves
from relapse.evaluation.evidence import Evidence, write_evidence
from relapse.evaluation.forests import pairs_frame, subgroups_frame
from relapse.figures.evaluation.catalogue import draw, read_curves
from relapse.figures.evaluation.tuning import tuning_history
from relapse.figures.style import drawing, save
from relapse.ground.files import write_csv
from relapse.training.history import tuning_frame


def write_evaluation(
    tables: Mapping[str, pd.DataFrame],
    evidence: Evidence,
    *,
    to_evidence: Path,
    to_plots: Path,
    to_figures: Path,
    titles: Mapping[str, str],
    flow: Mapping[str, Any] | None = None,
    columns: Mapping[str, str] | None = None,
    trials: Mapping[str, pd.DataFrame] | None = None,
) -> None:
    """Write what an evaluation found.

    Parameters
    ----------
    tables
        Candidate name to predictions table.
    evidence
        As gathered from ``tables``.
    to_evidence, to_plots, to_figures
        The JSON file; the folder of frames, ``<figure>/<candidate>.csv``; the folder of pictures, SVG and PNG.
    titles
        Candidate names for people.
    flow
        The patient flow, where there is one to be drawn.
    columns
        Names of subgroup columns for people.
    trials
        Candidate name to its trials, where there was a search.
    """
    for name, table in tables.items():
        for figure, frame in curves(table, evidence.endpoint).items():
            write_csv(to_plots / figure / f"{name}.csv", frame)
    write_csv(to_plots / "pairs.csv", pairs_frame(evidence))
    write_csv(to_plots / "subgroups.csv", subgroups_frame(evidence))
    draw(to_figures, read_curves(to_plots), evidence, flow=flow, titles=titles, columns=columns)
    if trials:
        frame = tuning_frame(trials)
        write_csv(to_plots / "tuning.csv", frame)
        with drawing():
            history = tuning_history(frame, titles, label=evidence.primary_label)
        save(history, to_figures / "tuning")
    write_evidence(to_evidence, evidence)
