"""The TRIPOD+AI checklist: what a report of a prediction model has to say, in 27 items.

Collins GS et al. TRIPOD+AI statement: updated guidance for reporting clinical prediction models that use regression or
machine learning methods. BMJ 2024;385:e078378 (CC BY 4.0). The wording here is shortened; the statement's holds.

Many items ask for what no pipeline can know. A cohort's declaration may answer those, by number, under ``tripod``.
"""

from typing import NamedTuple


class Item(NamedTuple):
    """One item: its number, the section of the report it belongs to, its topic, and what it asks for."""

    number: str
    section: str
    topic: str
    asked: str


ITEMS = (
    Item("1", "Title", "Title", "Development or evaluation of a prediction model, target population, outcome."),
    Item("2", "Abstract", "Abstract", "A structured summary, as TRIPOD+AI for Abstracts asks."),
    Item("3a", "Introduction", "Background", "Healthcare context, rationale, references to existing models."),
    Item("3b", "Introduction", "Background", "Target population, purpose in the care pathway, intended users."),
    Item("3c", "Introduction", "Background", "Known health inequalities between sociodemographic groups."),
    Item("4", "Introduction", "Objectives", "Objectives; development, validation, or both."),
    Item("5a", "Methods", "Data", "Sources of the data, why these, how representative."),
    Item("5b", "Methods", "Data", "Dates: start and end of accrual, end of follow-up."),
    Item("6a", "Methods", "Participants", "Setting: kind, number and location of centres."),
    Item("6b", "Methods", "Participants", "Eligibility criteria."),
    Item("6c", "Methods", "Participants", "Treatments received, and how they were handled."),
    Item("7", "Methods", "Data preparation", "Pre-processing and quality checks, alike across groups or not."),
    Item("8a", "Methods", "Outcome", "The outcome and its time horizon; how, when and how consistently assessed."),
    Item("8b", "Methods", "Outcome", "Who assessed the outcome, where it needs judgement."),
    Item("8c", "Methods", "Outcome", "Blinding of the assessment of the outcome."),
    Item("9a", "Methods", "Predictors", "Choice of initial predictors, and any selection before modelling."),
    Item("9b", "Methods", "Predictors", "All predictors: definition, how and when measured, blinding."),
    Item("9c", "Methods", "Predictors", "Who assessed predictors, where they need judgement."),
    Item("10", "Methods", "Sample size", "How the size was arrived at, and whether it suffices."),
    Item("11", "Methods", "Missing data", "How missing data were handled; reasons for leaving out data."),
    Item("12a", "Methods", "Analysis", "How the data were used, and partitioned."),
    Item("12b", "Methods", "Analysis", "How predictors were handled: form, scaling, transformation."),
    Item("12c", "Methods", "Analysis", "Type of model, all building steps, tuning, internal validation."),
    Item("12d", "Methods", "Analysis", "How differences between clusters (hospitals, countries) were handled."),
    Item("12e", "Methods", "Analysis", "Measures and plots of performance, and how models were compared."),
    Item("12f", "Methods", "Analysis", "Any updating of the model, such as recalibration."),
    Item("12g", "Methods", "Analysis", "How predictions were calculated in the evaluation."),
    Item("13", "Methods", "Class imbalance", "Whether, why and how imbalance was handled, and recalibration after it."),
    Item("14", "Methods", "Fairness", "Approaches to fairness, and why."),
    Item("15", "Methods", "Model output", "The output, and how thresholds were chosen."),
    Item("16", "Methods", "Training and evaluation", "Differences between development and evaluation data."),
    Item("17", "Methods", "Ethics", "Ethics committee, consent or its waiver."),
    Item("18a", "Open science", "Funding", "Source of funding, role of the funders."),
    Item("18b", "Open science", "Conflicts of interest", "Conflicts and disclosures of all authors."),
    Item("18c", "Open science", "Protocol", "Where the protocol is, or that there is none."),
    Item("18d", "Open science", "Registration", "Register and number, or that it was not registered."),
    Item("18e", "Open science", "Data sharing", "Availability of the data."),
    Item("18f", "Open science", "Code sharing", "Availability of the code."),
    Item("19", "Patients and public", "Involvement", "Involvement of patients and the public, or none."),
    Item("20a", "Results", "Participants", "Flow of participants, numbers with and without the outcome, follow-up."),
    Item("20b", "Results", "Participants", "Characteristics, treatments, missing data, overall and by group."),
    Item("20c", "Results", "Participants", "Comparison of evaluation with development data."),
    Item("21", "Results", "Model development", "Participants and events in each analysis."),
    Item("22", "Results", "Model specification", "The full model, so that others can use it; restrictions."),
    Item("23a", "Results", "Model performance", "Performance with intervals, also in key subgroups."),
    Item("23b", "Results", "Model performance", "Differences in performance between clusters."),
    Item("24", "Results", "Model updating", "Results of any updating."),
    Item("25", "Discussion", "Interpretation", "Overall interpretation, fairness, previous studies."),
    Item("26", "Discussion", "Limitations", "Limitations, and what they do to bias, uncertainty, generalisability."),
    Item("27a", "Discussion", "Usability", "Poor or unavailable input: how to assess and handle it."),
    Item("27b", "Discussion", "Usability", "What users must do with input and model, and the expertise needed."),
    Item("27c", "Discussion", "Usability", "Next steps, for applicability and generalisability."),
)

NUMBERS = frozenset(item.number for item in ITEMS)
