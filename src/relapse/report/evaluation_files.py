"""The files of an evaluation: evidence as JSON, the frames of all figures as CSV, and the figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from relapse.evaluation.curves import curves
from relapse.evaluation.evidence import Evidence, write_evidence
from relapse.files import write_csv
from relapse.report.figures import draw, read_curves


def write_evaluation(
    tables: Mapping[str, pd.DataFrame],
    evidence: Evidence,
    *,
    to_evidence: Path,
    to_plots: Path,
    to_figures: Path,
    titles: Mapping[str, str],
    flow: Mapping[str, Any] | None = None,
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
    """
    for name, table in tables.items():
        for figure, frame in curves(table, evidence.endpoint).items():
            write_csv(to_plots / figure / f"{name}.csv", frame)
    draw(to_figures, read_curves(to_plots), evidence, flow=flow, titles=titles)
    write_evidence(to_evidence, evidence)
