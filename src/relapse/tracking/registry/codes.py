"""What may not fit in a registry, by its code, and what becomes of it: the words of the docs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unfit:
    """What was found, what ``dvc repro`` then does, and what ``relapse registry verify --repair`` does."""

    found: str
    at_repro: str
    at_repair: str


CODES = {
    "M001": Unfit("the experiment was deleted", "refuses", "restores it with its runs"),
    "M002": Unfit("the registered model was deleted", "registers it again", "registers it again"),
    "M003": Unfit("the registered model was renamed", "refuses", "gives it its name back"),
    "M004": Unfit("a model of other hands has the name", "refuses", "refuses: rename or delete it in MLflow"),
    "M005": Unfit(
        "a record is missing, altered, or not named, in MLflow or on disk",
        "refuses if it is the last one and not named or not readable",
        "writes it again from the copy that has its digest",
    ),
    "M006": Unfit("`champion` or `previous` is not where the last record says", "refuses", "puts them there"),
    "M007": Unfit(
        "a version was deleted: champion, previous champion, or that of the last state",
        "registers its bundle again",
        "the same (champions)",
    ),
    "M008": Unfit(
        "a run behind a version with an alias was deleted; of the champion or the last state:", "refuses", "restores it"
    ),
    "M009": Unfit("such a run was removed for good (`mlflow gc`); of the champion:", "refuses", "cannot"),
    "M010": Unfit(
        "the logged model behind a version was deleted; of the champion:",
        "refuses",
        "logs the bundle again, as a new version",
    ),
    "M011": Unfit("a bundle cannot be read, or is not the one that was promoted", "refuses to package it", "cannot"),
    "M012": Unfit("the tags by which a version is known were altered", "", "sets them"),
    "M013": Unfit(
        "the receipt (`mlruns/published/<cohort>.json`) is missing, of another registry, or says otherwise",
        "writes it anew",
        "renews it",
    ),
    "M014": Unfit(
        "the logged model of a candidate of the last state, other than that of its version, was deleted",
        "logs it again",
        "leaves it to `dvc repro`",
    ),
}
