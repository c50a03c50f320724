"""What a published state was made from: the identity by which MLflow and the files know each other."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from relapse.bundle.manifest import FORMAT
from relapse.ground.files import sha256_of_file, sha256_of_text
from relapse.ground.workspace import Workspace
from relapse.params import Params
from relapse.tracking.client import git_commit
from relapse.tracking.registry.models import CONTENT

#: Tags of a run for the commit, and what stands there outside git.
_COMMIT, _DIRTY, _NONE = "relapse.git_commit", "relapse.git_dirty", "none"


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

    @classmethod
    def told(cls, tags: Mapping[str, str]) -> "Source":
        """The source that the tags of a run tell of."""
        commit = tags[_COMMIT]
        return cls(tags[CONTENT], None if commit == _NONE else commit, tags[_DIRTY] == "true")

    @property
    def tags(self) -> dict[str, str]:
        """As tags of a run."""
        return {
            CONTENT: self.content_hash,
            _COMMIT: self.git_commit or _NONE,
            _DIRTY: str(self.git_dirty).lower(),
        }


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
