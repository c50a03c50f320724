"""What a published state was made from: the identity by which MLflow and the files know each other."""

import json
from dataclasses import dataclass

from relapse.bundle.manifest import FORMAT
from relapse.ground.files import sha256_of_file, sha256_of_text
from relapse.ground.workspace import Workspace
from relapse.params import Params
from relapse.tracking.client import git_commit
from relapse.tracking.registry.models import CONTENT


@dataclass(frozen=True, slots=True)
class Source:
    """What the published state was made from: its content hash, and the commit that made it."""

    content_hash: str
    git_commit: str | None
    git_dirty: bool

    @classmethod
    def of(cls, at: Workspace, params: Params) -> "Source":
        """The source of a pipeline state as it lies in its files."""
        commit, dirty = git_commit(at.root)
        return cls(content_hash(at, params), commit, dirty)

    @property
    def tags(self) -> dict[str, str]:
        """As tags of a run."""
        commit = {"relapse.git_commit": self.git_commit or "none", "relapse.git_dirty": str(self.git_dirty).lower()}
        return {CONTENT: self.content_hash, **commit}


def content_hash(at: Workspace, params: Params) -> str:
    """Identity of a pipeline state: declaration, table, settings of the protocol, and every candidate's predictions.

    The bundle's format counts too: what an older version published is published anew, in a form that can be served.
    """
    return sha256_of_text(
        str(FORMAT),
        at.resolved.read_text(encoding="utf-8"),
        sha256_of_file(at.table),
        json.dumps(params.model_dump(mode="json", exclude={"audit", "budget", "cohorts", "explain"}), sort_keys=True),
        *(sha256_of_file(at.predictions(name)) for name in at.succeeded(params.candidates)),
        # Of a cohort with films: what reads them is served with the model.
        *(sha256_of_file(path) for path in sorted(at.film_reader.glob("*"))),
    )
