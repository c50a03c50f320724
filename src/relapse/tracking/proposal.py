"""What a retraining proposes for a cohort, as Markdown for the people who decide whether to merge it."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relapse.bundle.load import describe_bundle
from relapse.bundle.summary import Metric
from relapse.ground.workspace import Workspace
from relapse.tracking.registry.models import champion_version, fetch_version, version_called

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def proposal(client: "MlflowClient", at: Workspace, decision: dict[str, Any]) -> str:
    """The decision about the challenger, its rules, and its metrics beside those of the champion that there is now."""
    verdict = "May be promoted" if decision["promoted"] else "Is kept out"
    rules = [
        (rule["name"], rule["requirement"], rule["figure"], "passed" if rule["passed"] else "**not passed**")
        for rule in decision["rules"]
    ]
    challenger = version_called(client, at.cohort, str(decision["challenger_version"]))
    champion = champion_version(client, at.cohort)
    mine, theirs = _metrics(challenger), _metrics(champion) if champion else {}
    figures = [
        (found.label, _cell(theirs.get(key)), _cell(found), _difference(theirs.get(key), found))
        for key, found in mine.items()
    ]
    before = f"champion, version {champion.version}" if champion else "champion: none"
    return "\n".join(
        [
            f"## {at.cohort}: {decision['challenger_title']}, version {challenger.version}",
            "",
            f"**{verdict}.** {decision['summary']}",
            "",
            *_table(("rule", "asks for", "found", "verdict"), rules),
            "",
            *_changes(decision),
            "Each model on its own out-of-fold patients; the paired comparison is the last rule above.",
            "",
            *_table(("metric", before, f"challenger, version {challenger.version}", "difference"), figures),
            "",
        ]
    )


def _changes(decision: dict[str, Any]) -> list[str]:
    """What differs from the champion, and what of it a person has to review; nothing without a plan."""
    found = decision.get("changes")
    if not found:
        return []
    rows = [
        (item["kind"], item["what"], item["before"], item["now"], "**review**" if item["review"] else "passes")
        for item in found["found"]
    ]
    table = _table(("change", "what", "champion", "now", "by the plan"), rows)
    return [*(table if rows else ["Nothing differs from the champion that the plan knows."]), ""]


def _metrics(version: "ModelVersion") -> dict[str, Metric]:
    with tempfile.TemporaryDirectory() as scratch:
        fetch_version(version, Path(scratch) / "bundle")
        return {metric.key: metric for metric in describe_bundle(Path(scratch) / "bundle").metrics}


def _cell(metric: Metric | None) -> str:
    if metric is None or metric.value is None:
        return ""
    known = metric.lower is not None and metric.upper is not None
    return f"{metric.value:.3f}" + (f" ({metric.lower:.3f} to {metric.upper:.3f})" if known else "")


def _difference(before: Metric | None, now: Metric) -> str:
    if before is None or before.value is None or now.value is None:
        return ""
    return f"{now.value - before.value:+.3f}"


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (columns, ("---",) * len(columns), *rows)]
