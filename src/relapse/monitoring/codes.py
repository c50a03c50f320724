"""Every code of monitoring (W): what an alarm stands for and what to do; alarms, pages and docs say it from here."""

from relapse.ground.finding import Code, Family

#: Silences are of a table; an alarm is of what is served.
_LASTING = "it is no finding in a table: what is served has to be looked at"

_ASK = "ask what changed: who is referred, device, unit, coding; correct it, or train again with such patients"

W001 = Code(
    "W001", "warning", "a feature's values are distributed otherwise than in the training", _ASK, lasting=_LASTING
)
W002 = Code(
    "W002",
    "warning",
    "a feature is missing more often than in the training, or less often",
    "ask what changed in how it is recorded; what is filled in weighs more than the training showed",
    lasting=_LASTING,
)
W003 = Code(
    "W003",
    "warning",
    "risks are distributed otherwise than out of fold in the training",
    "look which features moved; judge thresholds and groups anew, and wait for outcomes before trusting the level",
    lasting=_LASTING,
)
W004 = Code(
    "W004",
    "warning",
    "the features go together otherwise than in the training, or lie farther out",
    "look for mixed-up columns or patients, and for a new group of patients; each feature alone may look as ever",
    lasting=_LASTING,
)
W005 = Code(
    "W005",
    "warning",
    "more patients are unlike the training than its own were",
    "look at the notes of the answers: what lies outside is extrapolated",
    lasting=_LASTING,
)
W006 = Code(
    "W006",
    "warning",
    "at the same risk the event is more frequent, or rarer, than it was out of fold in the training",
    "recalibrate on recent patients (`relapse validate` shows what that gives), and look why",
    lasting=_LASTING,
)
W007 = Code(
    "W007",
    "warning",
    "the risk tells patients apart less well than in the training (AUC below its lower bound of 99.5%)",
    "look which features moved; train again with recent patients, and let the policy decide",
    lasting=_LASTING,
)
W008 = Code(
    "W008",
    "warning",
    "acting on the risk at the threshold is worth less than treating everybody, or nobody",
    "stop acting on it at this threshold until it is recalibrated or replaced",
    lasting=_LASTING,
)

MONITORING = Family(
    "what is served",
    "Of what a service answered, or of any table, against the training; by `relapse monitor`, which ends with status 3 "
    "where one of them is found. An alarm is bet on patient by patient, so that looking often raises none: over all "
    "looks and all alarms together the chance of a false one is 5% at most ([monitoring](monitoring.md)).",
    (W001, W002, W003, W004, W005, W006, W007, W008),
)
