"""What a table holds, on a terminal: features by outcome, follow-up and horizons, sample size."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from relapse.cohorts.schema import Cohort
from relapse.cohorts.size import MIN_EACH
from relapse.description.frames import missing_values
from relapse.description.outcome import outcome_groups, told
from relapse.description.sample_size import Needs
from relapse.description.table_one import OVERALL, table_one
from relapse.ground.console import print_table, say
from relapse.quality.checks.outcome import follow_up

if TYPE_CHECKING:
    import pandas as pd


def show_features(table: "pd.DataFrame", cohort: Cohort) -> None:
    """Print Table 1 and the share of missing values, of a typed table; counts below five are not told."""
    groups = [OVERALL, *outcome_groups(cohort)]
    print_table(
        "Features († known only after baseline: described, never a predictor)",
        ["", "", *groups],
        [[line.label, line.level, *(line.cells[name] for name in groups)] for line in table_one(table, cohort)],
    )
    lacking = missing_values(table, cohort)
    rows = [[cohort.label(str(row.feature)), f"{row.share:.1%}"] for row in lacking.itertuples() if row.rows]
    if rows:
        print_table("Missing values", ["feature", "share of rows"], rows)
    else:
        say("No feature has a missing value.")


def show_follow_up(table: "pd.DataFrame", cohort: Cohort) -> None:
    """Print the follow-up, and what each horizon can bear; nothing where the outcome has no time."""
    endpoint = cohort.survival
    if endpoint is None:
        return
    people = table.groupby("patient", observed=True).first()
    time, event = people["time"].to_numpy(dtype=np.float64), people["event"].to_numpy() == 1
    reached = [follow_up(time, event, still=share) for share in (0.75, 0.5, 0.25)]
    low, middle, high = (
        f"{value:.{0 if value >= 100 else 1}f}" if math.isfinite(value) else "not reached" for value in reached
    )
    say(f"Follow-up (reverse Kaplan-Meier): median {middle} {endpoint.unit}s, quartiles {low} and {high}")
    rows = []
    for item in endpoint.horizons:
        by, beyond = int((event & (time <= item.time)).sum()), int((time > item.time).sum())
        borne = "no figures" if min(by, beyond) < MIN_EACH else "wide intervals" if min(by, beyond) < 100 else "yes"
        rows.append([item.label, str(told(by)), str(told(beyond)), borne])
    print_table("Horizons", ["horizon", "with the event by then", "followed beyond it", "can it bear figures?"], rows)


def show_needs(found: Sequence[Needs]) -> None:
    """Print by model and criterion how many patients and events are needed, and what there is."""
    rows = []
    for model in found:
        what = f"{model.model}, {model.parameters} parameters"
        for item in model.criteria:
            enough = "yes" if model.patients >= item.patients else "no"
            rows.append(
                [what, item.criterion, f"{item.patients} ({item.events})", f"{model.patients} ({model.events})", enough]
            )
            what = ""
    print_table(
        "Sample size (Riley et al., BMJ 2020;368:m441)",
        ["model", "wanted", "needed: patients (events)", "there are", "enough"],
        rows,
    )
    for model in found:
        say(
            f"{model.model}: with {model.events} events for {model.parameters} parameters, and a Cox-Snell R² of "
            f"{model.r2:.3f} (of {model.largest:.3f} at most), a shrinkage of "
            f"{model.expected_shrinkage:.2f} is to be expected."
        )
