"""Where Optuna's trials are kept, so that a run that was killed goes on from them and ends as if it had not been.

A study belongs to one candidate and one set of rows. Its name holds a digest of all that shapes its trials, so that a
changed table, declaration, protocol or line of code begins a new one and nothing old is ever mixed in. One process at a
time works on a study; machines that share a database share finished trials, and divide the work by fold.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import relapse
from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.schema import Cohort
from relapse.ground.files import sha256_of_text
from relapse.ground.versions import versions
from relapse.machinery import is_url

if TYPE_CHECKING:
    import optuna

#: Files of the library that shape a trial's value.
_CODE = (
    "candidates/**/*.py",
    "cohorts/blocked.py",
    "cohorts/schema.py",
    "cohorts/declared/*.py",
    "evaluation/statistics/**/*.py",
    "preprocessing/*.py",
    "training/*.py",
)


@dataclass(frozen=True, slots=True)
class Studies:
    """The studies of one job: ``storage`` is a folder or a database URL, ``label`` names cohort, candidate and fold."""

    storage: str
    label: str

    def of(self, *parts: str | int) -> "Studies":
        """The same storage with a longer label."""
        return replace(self, label="-".join([self.label, *map(str, parts)]))


def prepare(storage: str) -> None:
    """Create the tables of a database once, before workers open it at the same time; a folder needs nothing."""
    if is_url(storage):
        storage_of(storage, "")


def open_study(
    studies: Studies | None, table: pd.DataFrame, cohort: Cohort, *, seed: int, folds: int, startup: int
) -> "optuna.Study":
    """The study of one set of rows: in memory, or with the trials that were finished before."""
    optuna = _quiet_optuna()
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5)
    if studies is None:
        return optuna.create_study(direction="maximize", pruner=pruner)
    identity = digest(studies.label, table, cohort, seed=seed, folds=folds, startup=startup)
    name = f"{studies.label}-{identity[:16]}"
    storage = storage_of(studies.storage, name)
    study = optuna.create_study(
        storage=storage, study_name=name, direction="maximize", pruner=pruner, load_if_exists=True
    )
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


def blind_trials(*, seed: int) -> "Iterator[optuna.Trial]":
    """Trials without end whose hyperparameters are drawn at random, before any data is seen."""
    optuna = _quiet_optuna()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    while True:
        yield study.ask()


def _quiet_optuna() -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def finished(study: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    """The trials that came to an end of their own; one that a killed run left behind failed without an error."""
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state.name in ("COMPLETE", "PRUNED") or (trial.state.name == "FAIL" and "error" in trial.user_attrs)
    ]


def storage_of(storage: str, name: str) -> "optuna.storages.BaseStorage":
    """The database of that URL, or the study's own journal file in that folder."""
    optuna = _quiet_optuna()
    if is_url(storage):
        from sqlalchemy.pool import NullPool

        # No connection outlives its use: workers come and go, and a database has only so many to give.
        return optuna.storages.RDBStorage(storage, engine_kwargs={"poolclass": NullPool})
    from optuna.storages.journal import JournalFileBackend

    path = Path(storage) / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return optuna.storages.JournalStorage(JournalFileBackend(str(path)))


def digest(label: str, table: pd.DataFrame, cohort: Cohort, *, seed: int, folds: int, startup: int) -> str:
    """Identity of all that shapes the trials of a search: rows, declaration, protocol, code and versions."""
    if IMAGE in table:
        # Addresses, wherever the pictures lie.
        table = table.assign(**{IMAGE: [Path(image).stem for image in table[IMAGE]]})
    rows = hashlib.sha256(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes()).hexdigest()
    protocol = json.dumps({"seed": seed, "folds": folds, "startup": startup})
    installed = ",".join(f"{name} {found}" for name, found in versions().items())
    return sha256_of_text(label, rows, ",".join(table.columns), _declared(cohort), protocol, _code(), installed)


def _declared(cohort: Cohort) -> str:
    """The declaration without the texts that only people read."""
    return cohort.model_dump_json(exclude={"title", "licence", "citation", "tripod"})


@cache
def _code() -> str:
    """Digest of the library files that shape a trial."""
    root = Path(relapse.__file__).parent
    paths = {path for pattern in _CODE for path in root.glob(pattern)}
    return sha256_of_text(*(path.read_text(encoding="utf-8") for path in sorted(paths)))
