"""Which candidates figures single out where all would be too many, and how they are called there."""

from collections.abc import Mapping

from relapse.candidates.catalogue import REFERENCE
from relapse.evaluation.evidence import Evidence
from relapse.wording import listing


def compared(evidence: Evidence) -> list[str]:
    """The reference (else the first) and the one put forward (else the best); the best where these two are one."""
    names = [item.name for item in evidence.candidates]
    baseline = REFERENCE if REFERENCE in names else names[0]
    shown = evidence.shown.name
    return list(dict.fromkeys([baseline, shown if shown != baseline else evidence.best.name]))


def roles(evidence: Evidence) -> dict[str, str]:
    """What a candidate stands out by: the policy put it forward, or its ranking metric is the largest of several."""
    # Where nothing was chosen, as between one model and its recalibrations, none of them leads.
    leads = {evidence.best.name: f"largest {evidence.primary_label}"} if evidence.selection else {}
    return leads | ({evidence.put_forward: "put forward"} if evidence.put_forward else {})


def labels(evidence: Evidence, titles: Mapping[str, str]) -> dict[str, str]:
    """Candidate name to its title, with its role in brackets where it has one."""
    known = roles(evidence)
    return {name: f"{title} ({known[name]})" if name in known else title for name, title in titles.items()}


def compared_words(evidence: Evidence, titles: Mapping[str, str]) -> str:
    """Name the candidates compared, for a caption."""
    called = labels(evidence, titles)
    return listing([called[name] for name in compared(evidence)])
