"""The standard clinical model: unpenalised regression on the cohort's ``reference`` features, nothing tuned."""

from sklearn.linear_model import LogisticRegression

from relapse.candidates.base import BinaryModel, Family, Head, Params, SurvivalModel, binary_model
from relapse.candidates.base import survival_model as survival
from relapse.candidates.cox import CoxRegression
from relapse.cohorts.schema import Cohort


def _binary(cohort: Cohort, params: Params, seed: int) -> BinaryModel:
    # Never resampled: this is the model that clinics have today.
    return binary_model(
        cohort, LogisticRegression(C=1e6, max_iter=5000), seed=seed, columns=list(cohort.reference), resample=False
    )


def _survival(cohort: Cohort, params: Params, seed: int) -> SurvivalModel:
    return survival(cohort, CoxRegression(), columns=list(cohort.reference))


FAMILY = Family(
    name="reference",
    title="Clinical reference",
    description="Unpenalised logistic or Cox regression on the cohort's reference features; nothing is tuned.",
    binary=Head(None, _binary),
    survival=Head(None, _survival, loads=("sksurv.linear_model",)),
)
