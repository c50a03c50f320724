"""Finished hyperparameter sets of a joint search, kept so that a killed run goes on from them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pandas as pd

from relapse.cohorts.schema import Cohort
from relapse.ground.files import sha256_of_text
from relapse.training.studies import digest, prepare, storage_of

if TYPE_CHECKING:
    import optuna

_SET = "set-"


@dataclass(frozen=True, slots=True)
class Tried:
    """One set of hyperparameters on one table: the mean discrimination over inner folds, or the error.

    One that was ``pruned`` has neither: in the first inner fold others did better.
    """

    value: float | None
    error: str = ""
    pruned: bool = False


@dataclass(frozen=True, slots=True)
class FinishedSet:
    """One set of hyperparameters on all tables of a search, and the seconds of work it took."""

    tried: tuple[Tried, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class KeptSets:
    """The finished sets of one search, by number: attributes of an Optuna study, in a journal file or a database."""

    storage: str
    name: str

    def read(self) -> dict[int, FinishedSet]:
        """Every set that is kept."""
        return {
            int(key.removeprefix(_SET)): FinishedSet(tuple(Tried(**one) for one in kept["tried"]), kept["seconds"])
            for key, kept in self._study().user_attrs.items()
        }

    def write(self, number: int, finished: FinishedSet) -> None:
        """Keep one set; workers do so side by side, once :meth:`read` has made the study."""
        self._study().set_user_attr(f"{_SET}{number}", asdict(finished))

    def _study(self) -> "optuna.Study":
        storage = storage_of(self.storage, self.name)
        import optuna

        return optuna.create_study(storage=storage, study_name=self.name, direction="maximize", load_if_exists=True)


def kept_sets(
    storage: str, label: str, tables: Sequence[pd.DataFrame], cohort: Cohort, *, seeds: Sequence[int], folds: int
) -> KeptSets:
    """Where the sets of one search are kept: under a name that changes with all that shapes them."""
    parts = [
        digest(label, table, cohort, seed=seed, folds=folds, startup=0)
        for table, seed in zip(tables, seeds, strict=True)
    ]
    prepare(storage)
    return KeptSets(storage, f"{label}-{sha256_of_text(*parts)[:16]}")
