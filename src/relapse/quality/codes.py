"""Every code of a check: what it stands for, how grave it is, what to do; checks and docs say it from here."""

from relapse.ground.finding import Code, Family
from relapse.quality.prediction_codes import PREDICTIONS

_DECLARED = "a rule of the declaration is changed where it stands"

D001 = Code("D001", "error", "a row's number stands there twice", "look how the table was made", lasting=_DECLARED)
D002 = Code("D002", "error", "a row without its patient", "name her, or exclude the row", lasting=_DECLARED)
D003 = Code("D003", "error", "a row without its site", "name it, or exclude the row", lasting=_DECLARED)
D004 = Code("D004", "error", "a row without its view", "name it, or exclude the row", lasting=_DECLARED)
D005 = Code(
    "D005",
    "error",
    "more of a feature is missing than `max_missing` allows",
    "look where values were lost, or raise `max_missing`",
)
D006 = Code(
    "D006",
    "error",
    "a level that is not declared",
    "name it under `levels`, or under `missing` if it means that",
    lasting="a level without a name has no place in a model",
)
D007 = Code(
    "D007",
    "error",
    "a feature's cell that is no number",
    "correct it, declare how numbers are written, or name it under `missing`",
    lasting="text cannot be reckoned with",
)
D008 = Code("D008", "error", "a value outside the declared range", "correct it, or widen `range` if it can be")
D009 = Code("D009", "error", "a count that is no whole number", "correct it, or declare the feature `continuous`")
D010 = Code(
    "D010",
    "error",
    "no row with the event, or none without",
    "look how the outcome is coded",
    lasting="nothing can be learnt from one outcome",
)
D011 = Code(
    "D011",
    "error",
    "an outcome that is not coded as declared",
    "name its codes under `values`, or exclude the row",
    lasting="an unknown outcome can be neither learnt nor judged",
)
D012 = Code(
    "D012",
    "error",
    "a time that is no number, or not more than 0",
    "correct it, or exclude the row",
    lasting="a follow-up of no length has no place on a time axis",
)

L001 = Code(
    "L001",
    "error",
    "one feature alone separates relapse from none almost perfectly (AUC from 0.98)",
    "declare `known: after` if it was recorded after baseline",
)
L002 = Code(
    "L002",
    "error",
    "identical rows (all predictors and the outcome) under different patients, where chance does not explain it",
    "delete the copies, or give them one patient",
)
L003 = Code(
    "L003",
    "warning",
    "rows of one patient disagree on event or time",
    "correct them, unless each row has a baseline of its own",
)
L004 = Code(
    "L004",
    "warning",
    "a feature has one value only, or none",
    "leave it out, or look where its values were lost",
)
L005 = Code(
    "L005",
    "warning",
    "one feature alone separates relapse from none better than honest ones do (AUC from 0.9)",
    "look how and when it was recorded",
)

R001 = Code(
    "R001",
    "error",
    "a row of a patient stands there again, equal in every declared column, and no `view` is declared",
    "delete it, or declare `view`",
    in_broken=True,
)
R002 = Code(
    "R002",
    "error",
    "two rows of one patient have the same view",
    "delete the copy, or correct the view",
    in_broken=True,
)
R003 = Code(
    "R003",
    "warning",
    "rows of different patients agree in every predictor and the outcome but one value, where chance does not"
    " explain it",
    "give them one patient if it is one, or delete one",
)
R004 = Code(
    "R004",
    "warning",
    "one patient has rows at several sites",
    "where sites number their patients each for itself, write the site before the number",
    in_broken=True,
)
R005 = Code(
    "R005",
    "warning",
    "names of patients differ in nothing but case, spaces, signs or leading zeros",
    "write one patient's name in one way",
    in_broken=True,
)
R006 = Code(
    "R006",
    "warning",
    "sites with one patient",
    "name a coarser column as the site, or leave such sites out by an exclusion",
    in_broken=True,
)

F001 = Code(
    "F001",
    "warning",
    "a predictor is missing more often with the event than without, or less often",
    "look how it was recorded; `known: after` if the outcome was known by then",
)
F002 = Code(
    "F002",
    "warning",
    "a predictor is missing more often at one site than elsewhere, or less often",
    "ask whether it was measured there; leave it or the site out",
)
F003 = Code(
    "F003",
    "warning",
    "a predictor is a running number: whole numbers, each patient another, in order or without a gap",
    "leave it out",
)
F004 = Code(
    "F004",
    "warning",
    "a predictor says what another one says: the same order of all patients, or its reverse",
    "leave one of them out",
)
F005 = Code(
    "F005",
    "warning",
    "one value only in all with the event (or all without), several among the others",
    "look whether it was filled in for one group; `known: after` if after baseline",
)
F006 = Code(
    "F006",
    "warning",
    "one value in 99% of the rows",
    "look whether the others are mistakes, or leave it out",
)
F007 = Code(
    "F007",
    "warning",
    "a level that one or two patients have",
    "give the code the name of a neighbouring level under `levels`, or exclude them",
)
F008 = Code(
    "F008",
    "warning",
    "two units in one column, over all rows or by site",
    "ask in which unit each was recorded, and convert them",
    in_broken=True,
)
F009 = Code(
    "F009",
    "warning",
    "values outside the declared range would lie among the others in another unit",
    "ask, and convert all that are in that unit",
    in_broken=True,
)
F010 = Code(
    "F010",
    "warning",
    "values outside a range that was learnt for a wide group",
    "look whether they can be; a model made of them leans on few rows",
)

O001 = Code(
    "O001",
    "error",
    "one predictor orders the patients by their time: the follow-up under another name, rounded, reversed, or"
    " only where the event happened",
    "take it out, or declare `known: after`",
)
O002 = Code(
    "O002",
    "error",
    "two numeric predictors together give the time of patients with the event (age at diagnosis and at "
    "relapse, two dates)",
    "take out, or declare `known: after`, the one known only at the event",
)
O003 = Code(
    "O003",
    "error",
    "a horizon beyond which fewer than 10 patients are followed, or by which fewer than 10 had the event",
    "correct `unit`, or declare horizons that the follow-up reaches",
    lasting="no figure can be made at such a horizon",
)
O004 = Code(
    "O004",
    "warning",
    "a horizon with fewer than 100 of either",
    "expect wide intervals, or take a shorter horizon",
)
O005 = Code(
    "O005",
    "error",
    "fewer patients with, or without, the event than the folds need",
    "lower the setting named, or bring more patients",
    lasting="the folds cannot be drawn",
)
O006 = Code(
    "O006",
    "warning",
    "fewer events per parameter of all predictors than `register.events_per_parameter`",
    "fewer predictors or more patients; the reference may still be promoted",
)

V001 = Code(
    "V001",
    "warning",
    "a feature's values are distributed otherwise than in the accepted version",
    "ask what changed: patients, device, unit, coding; then accept the table, or mend it",
)
V002 = Code(
    "V002",
    "warning",
    "a feature is missing more often than in the accepted version, or less often",
    "ask what changed in how it is recorded",
)
V003 = Code(
    "V003",
    "warning",
    "the event is more frequent than in the accepted version, or rarer",
    "ask what changed: who is enrolled, how long followed, how the outcome is coded",
)
V004 = Code(
    "V004",
    "warning",
    "fewer patients than in the accepted version",
    "look which were lost on the way; a study grows",
)

G001 = Code(
    "G001",
    "warning",
    "a silence that silences nothing",
    "delete it from the declaration, or correct its column",
)

#: What is looked for in a table, by the gate.
FAMILIES = (
    Family(
        "what is declared",
        "The rules that follow from the declaration, held by Great Expectations. Their verdicts, with the hint "
        "what mends them, stand in the Data Docs.",
        (D001, D002, D003, D004, D005, D006, D007, D008, D009, D010, D011, D012),
    ),
    Family(
        "what gives the outcome away",
        "A single feature rarely separates relapse from none by an AUC above 0.9; one that does was mostly "
        "written down afterwards.",
        (L001, L002, L003, L004, L005),
    ),
    Family(
        "rows",
        "Rows of one patient must never stand on both sides of a split, and no row may count twice. Where a "
        "patient has several rows (projections, breasts, slices), `view:` names the column that tells them apart;"
        " patient and view together are then unique, and equal values in different views are fine. How likely it "
        "is that two patients agree by chance is reckoned from the table: all columns with few values as one "
        "combination, rare values each for itself. With a few coarse features nothing is told.",
        (R001, R002, R003, R004, R005, R006),
    ),
    Family(
        "features",
        "Two units in one column show on the log scale as two peaks a unit's factor apart (2.54, 10, 25.4, 100 or"
        " 1000) with a valley that one peak cannot have; between sites, as medians a factor apart with the same "
        "shape. Nothing else is assumed, so skewed features stay silent. What is not seen: units that overlap "
        "without a valley (inches among cm, unless the site tells them apart), and a few values in another unit "
        "that lie within the range.",
        (F001, F002, F003, F004, F005, F006, F007, F008, F009, F010),
    ),
    Family(
        "outcome, follow-up and size",
        "How many patients the folds need follows from `params.yaml` (outer, inner and audit folds); the events "
        "per parameter that the promotion policy asks for stand there too. A horizon needs patients who are "
        "followed beyond it as much as events before it.",
        (O001, O002, O003, O004, O005, O006),
    ),
    Family(
        "versions of the table",
        "`relapse cohort accept mine` writes what a table looks like that a person has looked at and accepted: "
        "counts by class of each feature, of missing values, and of the event, none below five, no patient's row."
        " The file, `data/accepted/mine.json`, is committed; each later table is held against it. Where every "
        "class has only grown, patients were added, and it is the added ones who are compared with the accepted; "
        "else the whole table is. The test is Pearson's chi-squared, Bonferroni-adjusted over all comparisons of "
        "the table, at a chance of 0.001; a difference that is sure but small (total variation below 0.1) is not "
        "told.",
        (V001, V002, V003, V004),
    ),
    Family(
        "the gate itself",
        "What the declaration says about these checks has to fit them.",
        (G001,),
    ),
)

#: Every code by its name, and those that the gate itself looks for.
CODES = {item.code: item for family in (*FAMILIES, PREDICTIONS) for item in family.codes}
OF_THE_GATE = frozenset(item.code for family in FAMILIES for item in family.codes)
