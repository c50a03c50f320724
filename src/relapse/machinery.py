"""Where and how the work is done on this machine; nothing here may change a result."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from relapse.ground.environment import ARTIFACT_ROOT, BACKEND, OPTUNA_STORAGE, PROMOTE, TRACKING_URI, WORKERS

#: What DVC says to every stage that it runs as an experiment (``dvc exp run``): there a decision is carried out only
#: where somebody asked for it, since an experiment tries something.
EXPERIMENT = "DVC_EXP_BASELINE_REV"


@dataclass(frozen=True, slots=True)
class Machinery:
    """Where and how the work is done; nothing here may change a result."""

    workers: int
    tracking_uri: str
    artifact_root: str | None
    backend: str
    storage: str | None = None
    promotes: bool = True

    @property
    def kept_in(self) -> tuple[Path, ...]:
        """The folder of finished trials; none where a database reached by a network has them, or nothing has."""
        if not self.storage:
            return ()
        if self.storage.startswith("sqlite:///"):
            return (Path(self.storage.removeprefix("sqlite:///")).resolve().parent,)
        return () if is_url(self.storage) else (Path(self.storage),)


def own_registry(root: Path = Path()) -> str:
    """The address of MLflow's database inside the project itself."""
    return f"sqlite:///{(root / 'mlruns' / 'mlflow.db').resolve()}"


def is_url(storage: str) -> bool:
    """Whether trials are kept in a database, not in a folder."""
    return "://" in storage


def machinery(root: Path = Path()) -> Machinery:
    """The settings of this machine, as :mod:`relapse.ground.environment` reads them; folders start from ``root``."""
    tracking = TRACKING_URI.get() or own_registry(root)
    local = None if tracking.startswith("http") else (root / "mlruns" / "artifacts").resolve().as_uri()
    storage = OPTUNA_STORAGE.get() or str(root / ".cache" / "optuna")
    return Machinery(
        workers=WORKERS.get() or os.cpu_count() or 1,
        tracking_uri=tracking,
        artifact_root=ARTIFACT_ROOT.get() or local,
        backend=BACKEND.get() or ("fork" if sys.platform == "linux" else "loky"),
        # Workers need not stand in the folder that this process is in.
        storage=storage if is_url(storage) else str(Path(storage).resolve()),
        promotes=PROMOTE.get() != "later" if EXPERIMENT not in os.environ else PROMOTE.get() == "now",
    )
