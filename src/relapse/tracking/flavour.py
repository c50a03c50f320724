"""How MLflow loads a model, registered or not: ``mlflow.pyfunc.load_model("models:/relapse-<cohort>@champion")``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from relapse.bundle.eyes import Eyes
from relapse.bundle.load import Bundle, load_bundle
from relapse.bundle.manifest import MANIFEST
from relapse.bundle.single import Single, load_single
from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.declared.images import DceMri
from relapse.cohorts.table import typed
from relapse.ground.errors import ImageError, SourceError

if TYPE_CHECKING:
    import pandas as pd


class Answering:
    """The model of a bundle, or one by itself, behind MLflow's ``predict``."""

    def __init__(self, source: Bundle | Single) -> None:
        self.source = source

    def predict(self, table: "pd.DataFrame", params: dict[str, Any] | None = None) -> "pd.DataFrame":
        """Columns ``score`` and the risks, one row a row of ``table`` (feature columns by their declared names).

        A model that looks at pictures takes them from the column ``image``, in the text that the service's ``/picture``
        gives. The model that was logged answers, and no other: who has no picture is not answered by the reference.

        Raises
        ------
        SourceError
            A column is lacking; or a row has no picture, or one that cannot be used.
        """
        import pandas as pd

        cohort, model, eyes = self.source.cohort, self.source.model, self.source.eyes
        if lacking := [name for name in cohort.predictors if name not in table]:
            raise SourceError(
                f"the table has no column {', '.join(lacking)}; a value may be missing, a column may not."
            )
        times = [horizon.time for horizon in cohort.survival.horizons] if cohort.survival else None
        features = typed(table[cohort.predictors], cohort)
        if eyes and cohort.volumes:
            features[IMAGE] = _seen(table, eyes, cohort.volumes)
        risks = pd.DataFrame(
            model.predict_risk(features, times), columns=cohort.endpoint.risk_columns, index=table.index
        )
        risks.insert(0, "score", model.predict_score(features))
        return risks


def _seen(table: "pd.DataFrame", eyes: Eyes, images: DceMri) -> "pd.Series[Any]":
    """What is seen of each row's picture."""
    import pandas as pd

    from relapse.imaging.uploads import from_text

    texts = list(table[IMAGE]) if IMAGE in table else [None] * len(table)
    found = []
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise SourceError(
                f"row {row} (from 0) has no picture, and this model looks at one: the column {IMAGE!r} holds the text "
                "that POST /picture of the service gives for volumes. Leave out rows without a picture."
            )
        try:
            found.append(eyes.see(from_text(text, images)))
        except ImageError as error:
            raise SourceError(f"row {row} (from 0): {error}") from None
    return pd.Series(found, index=table.index, dtype=object)


def _load_pyfunc(path: str) -> Answering:
    """Entry point that MLflow calls with the folder that was logged."""
    folder = Path(path)
    return Answering(load_bundle(folder) if (folder / MANIFEST).is_file() else load_single(folder))
