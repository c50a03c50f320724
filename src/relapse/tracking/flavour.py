"""How MLflow loads a registered bundle: ``mlflow.pyfunc.load_model("models:/relapse-<cohort>@champion")``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from relapse.bundle.load import Bundle, load_bundle
from relapse.cohorts.table import typed

if TYPE_CHECKING:
    import pandas as pd


class BundleModel:
    """A bundle behind MLflow's ``predict``."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def predict(self, table: "pd.DataFrame", params: dict[str, Any] | None = None) -> "pd.DataFrame":
        """Columns ``score`` and the risks, one row a row of ``table`` (feature columns by their declared names)."""
        import pandas as pd

        cohort, model = self.bundle.cohort, self.bundle.model
        times = [horizon.time for horizon in cohort.survival.horizons] if cohort.survival else None
        features = typed(table[cohort.predictors], cohort)
        risks = pd.DataFrame(
            model.predict_risk(features, times), columns=cohort.endpoint.risk_columns, index=table.index
        )
        risks.insert(0, "score", model.predict_score(features))
        return risks


def _load_pyfunc(path: str) -> BundleModel:
    """Entry point that MLflow calls with the folder that was logged."""
    return BundleModel(load_bundle(Path(path)))
