"""Reviews of changes, recorded beside the run that made a model, and promotions that are held until there is one."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relapse.change.plan import Kind, read_plan
from relapse.ground.errors import DeclarationError
from relapse.ground.files import sha256_of_text
from relapse.promotion.decision import Changes
from relapse.tracking.client import actor
from relapse.tracking.registry.models import model_name, parent_run

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

#: Where the run of a pipeline state keeps the review of its changes, and the tag that names the digest of it.
REVIEW, REVIEWED = "change/review.json", "relapse.review"

#: Differences that are named one by one in a message.
_NAMED = 3


def asks_for(found: Changes, cohort: str) -> str:
    """What to say where the plan does not let changes pass without review."""
    return _asks(_plain(found)["found"], cohort)


def held(client: "MlflowClient", version: "ModelVersion", decision: Mapping[str, Any], *, root: Path = Path()) -> str:
    """Why the promotion of a version is held by the plan of changes; empty where nothing holds it.

    The verdicts are those of the plan when the version was registered *and* of the plan now: neither relaxing the plan
    nor taking it away lets a change pass that asked for a review.
    """
    cohort = version.name.removeprefix(model_name(""))
    plan, found = read_plan(root), decision.get("changes")
    if plan is None and not found:
        return ""
    if found is None:
        asked: list[dict[str, Any]] = [
            {"kind": str(Kind.PLAN), "what": "it was registered without a plan, and there is one now"}
        ]
    else:
        asked = [
            item
            for item in found["found"]
            if item["review"] or (plan and plan.of(Kind(item["kind"])).verdict == "review")
        ]
    if not asked or _reviewed(client, version, found):
        return ""
    return _asks(asked, cohort)


def review(
    client: "MlflowClient", version: "ModelVersion", decision: Mapping[str, Any], *, reason: str
) -> dict[str, Any]:
    """Record that somebody has looked at all differences of a version from its champion, and why they are accepted.

    Raises
    ------
    DeclarationError
        No reason is given.
    """
    if not reason.strip():
        raise DeclarationError("--reason: say what was looked at, and why the changes are accepted.")
    record = {
        "model": version.name,
        "version": str(version.version),
        "who": actor(),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "reason": reason.strip(),
        "changes": decision.get("changes"),
    }
    text, run_id = json.dumps(record, indent=2, ensure_ascii=False) + "\n", parent_run(client, version)
    client.log_text(run_id, text, REVIEW)
    client.set_tag(run_id, REVIEWED, sha256_of_text(text))
    return record


def reviewed(client: "MlflowClient", version: "ModelVersion") -> dict[str, Any] | None:
    """The review of a version's changes; None where there is none, or where its text is not the one recorded."""
    run = client.get_run(parent_run(client, version))
    digest = run.data.tags.get(REVIEWED)
    if digest is None:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        try:
            text = Path(client.download_artifacts(run.info.run_id, REVIEW, scratch)).read_text("utf-8", "replace")
        except OSError:
            return None
    if sha256_of_text(text) != digest:
        return None
    found: dict[str, Any] = json.loads(text)
    return found


def _reviewed(client: "MlflowClient", version: "ModelVersion", found: Any) -> bool:
    """Whether what was reviewed are these very changes of this version."""
    record = reviewed(client, version)
    return bool(record) and (record["version"], record["changes"]) == (str(version.version), found)  # type: ignore[index]


def _plain(found: Changes) -> dict[str, Any]:
    """As JSON has it, where a tuple is a list."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(found)))
    return plain


def _asks(found: Sequence[Mapping[str, Any]], cohort: str) -> str:
    asked = [item for item in found if item.get("review", True)]
    named = "; ".join(f"{item['kind']}: {item['what']}" for item in asked[:_NAMED])
    rest = f"; and {len(asked) - _NAMED} more" if len(asked) > _NAMED else ""
    return (
        f"The plan of changes asks for a review ({named}{rest}). `relapse change review {cohort}` records it, and "
        f"`relapse registry promote {cohort}` then carries the decision out."
    )
