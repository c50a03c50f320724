"""Whether a worker is like the process it works for: what has to be the same, or results would differ."""

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from uuid import uuid4

from relapse.ground.files import write_text
from relapse.ground.versions import VERSIONED, code_digest

#: Further distributions that results, or what is sent to and fro, hang on.
_ALSO = ("cloudpickle", "dask", "distributed", "joblib", "lifelines", "pyarrow", "shap", "threadpoolctl")

#: A file in a folder that workers have to see; what it holds tells the folder from one of the same name elsewhere.
_MARK = ".seen-by-workers"

#: What this library's own code is called among the facts.
CODE = "relapse's code"

#: And what networks are trained on.
WHERE = "the place where networks are trained"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a worker has to keep: facts by name, and folders by their mark's content."""

    facts: tuple[tuple[str, str], ...]
    folders: tuple[tuple[str, str], ...] = ()


@cache
def facts() -> Mapping[str, str]:
    """What shapes results in this process, by name: Python, system, versions, our code, where networks train."""
    import torch

    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = {"Python": python, "system": f"{sys.platform} {platform.machine()}"}
    found[CODE] = code_digest()[:12]
    for name in (*VERSIONED, *_ALSO):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found | {WHERE: "GPU" if torch.cuda.is_available() else "CPU"}


@cache
def processor() -> str:
    """The kind of processor as libraries of linear algebra see it: sums may differ in their last digits by it."""
    import scipy.linalg  # noqa: F401 - its library is one of those asked below
    import torch
    from threadpoolctl import threadpool_info

    kinds = {str(item.get("architecture")) for item in threadpool_info() if item.get("internal_api") == "openblas"}
    return ", ".join([*sorted(kinds), torch.backends.cpu.get_cpu_capability()])


def marked(folder: Path) -> tuple[str, str]:
    """A folder with the content of its mark, which is put there the first time."""
    mark = folder / _MARK
    if not mark.is_file():
        write_text(mark, uuid4().hex)
    return str(folder), mark.read_text(encoding="utf-8")


def unlike(terms: Terms) -> str:
    """In what this process differs from ``terms``, in words; empty where in nothing."""
    return "; ".join([*differences(terms, facts()), *unseen(terms)])


def differences(terms: Terms, here: Mapping[str, str]) -> list[str]:
    """Facts that are others ``here`` than in ``terms``."""
    return [
        f"{name} is {here.get(name, 'absent')}, not {wanted}"
        for name, wanted in terms.facts
        if here.get(name) != wanted
    ]


def unseen(terms: Terms) -> list[str]:
    """Folders that this process does not see, or another one in their place."""
    return [f"it does not see the folder {folder}" for folder, mark in terms.folders if not _sees(Path(folder), mark)]


def _sees(folder: Path, mark: str) -> bool:
    try:
        return (folder / _MARK).read_text(encoding="utf-8") == mark
    except OSError:
        return False
