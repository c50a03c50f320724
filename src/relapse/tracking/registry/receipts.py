"""Receipts: what this machine was last told by the registry, as the pipeline's later stages depend on it."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relapse.ground.files import read_json, write_json
from relapse.ground.workspace import Workspace
from relapse.tracking.client import OWN, address
from relapse.tracking.registry.marks import validations_of
from relapse.tracking.registry.models import CONTENT, champion_version, identity, model_name
from relapse.tracking.registry.records import Record, recorded

if TYPE_CHECKING:
    from mlflow import MlflowClient


def standing(client: "MlflowClient", cohort: str) -> dict[str, Any] | None:
    """Who is champion now, as the decision's file has it."""
    now = champion_version(client, cohort)
    return asdict(identity(now)) if now else None


def receipt(client: "MlflowClient", cohort: str, published: str, *, root: Path = Path()) -> dict[str, Any]:
    """What ``package`` has to know: where the registry is, which version is champion now, and what is said of it.

    ``published`` is the content hash of the state that was published last.
    """
    now, records = champion_version(client, cohort), recorded(client, cohort, root=root, only_last=True)
    last = {"number": records[-1].number, "digest": records[-1].digest} if records else None
    champion = (
        {
            **asdict(identity(now)),
            "content": now.tags.get(CONTENT),
            "validations": [item.model_dump() for item in validations_of(client, now)],
        }
        if now
        else None
    )
    return {
        "model": model_name(cohort),
        "registry": address(client, root),
        "published": published,
        "record": last,
        "champion": champion,
    }


def renew(client: "MlflowClient", cohort: str, *, root: Path = Path()) -> bool:
    """Let the pipeline know that the registry has changed by hand; False where it has not run here."""
    told = read_receipt(cohort, root=root)
    if told:
        write_json(Workspace(cohort, root).published, receipt(client, cohort, str(told["published"]), root=root))
    return bool(told)


def read_receipt(cohort: str, *, root: Path = Path()) -> dict[str, Any]:
    """The receipt that lies here; empty where there is none, or where it cannot be read."""
    try:
        told = read_json(Workspace(cohort, root).published)
    except (FileNotFoundError, ValueError):
        return {}
    return told if isinstance(told, dict) and "published" in told else {}


def told(client: "MlflowClient", cohort: str, *, root: Path = Path()) -> dict[str, Any]:
    """The receipt that lies here, if it is of this registry; else empty."""
    found = read_receipt(cohort, root=root)
    return found if found.get("registry", OWN) == address(client, root) else {}


def lost_record(client: "MlflowClient", cohort: str, records: list[Record], *, root: Path = Path()) -> str:
    """What to say where the receipt names a later record than those that are found, or another; else empty."""
    named = told(client, cohort, root=root).get("record")
    last = (records[-1].number, records[-1].digest) if records else (0, "")
    if not named or last[0] > named["number"] or last == (named["number"], named["digest"]):
        return ""
    return f"record {named['number']}, which the receipt names, is nowhere to be found, or was altered everywhere."
