"""Codes of what is looked for in predictions: stages that evaluate need these, and not those of tables."""

from relapse.ground.finding import Code, Family

S001 = Code(
    "S001",
    "warning",
    "a score or a risk ranks rows against the outcome (upper bound of the C-index or AUC below one half)",
    "turn its sign: higher has to mean more likely to relapse",
)
S002 = Code(
    "S002",
    "warning",
    "the score ranks rows the other way round than the risk beside it",
    "turn the sign of the one that is wrong",
)
S003 = Code("S003", "warning", "a risk is the probability of staying free of the event", "give 1 minus it")
S004 = Code(
    "S004",
    "warning",
    "a risk by a later horizon is smaller than that by an earlier one",
    "look whether columns were mixed up",
)
S005 = Code(
    "S005",
    "warning",
    "follow-up and horizons do not fit",
    "look at the unit of the time, or leave the horizon out",
)
S006 = Code(
    "S006",
    "warning",
    "a score or a risk is the outcome itself, or tells it apart almost perfectly (AUC or C from 0.98)",
    "look what the model had seen",
)
S007 = Code(
    "S007",
    "warning",
    "a threshold lies outside [0, 1] or is missing",
    "give the risk from which a row is called positive",
)

PREDICTIONS = Family(
    "scores and risks",
    "Of a predictions table, by the stage *evaluate*, by `relapse validate` and by `relapse evaluate` of tables made "
    "elsewhere. What they find stands first among the report's caveats, and in `evidence.json`.",
    (S001, S002, S003, S004, S005, S006, S007),
)
