"""Stage *package*: the champion's bundle, fetched from the registry and verified, and the Bento built from it."""

import shutil
from datetime import UTC, datetime

from relapse.bundle.load import verify_bundle
from relapse.bundle.validations import write_validations
from relapse.ground.console import say, stage
from relapse.ground.files import write_text
from relapse.ground.workspace import Workspace
from relapse.machinery import machinery
from relapse.serving.bento import build_bento
from relapse.serving.example import write_example
from relapse.tracking.client import connect
from relapse.tracking.registry.marks import validations_of
from relapse.tracking.registry.models import champion_version, fetch_champion, version_called


def main(cohort: str) -> None:
    """Make the champion of a cohort ready to be served."""
    at = Workspace(cohort)
    shutil.rmtree(at.of("package"), ignore_errors=True)
    client = connect(machinery())
    if champion_version(client, cohort) is None:
        # No fault of the pipeline: a policy that lets nobody pass does its work, and the report still has to follow.
        write_text(at.no_champion, f"relapse-{cohort} has no champion: nothing to serve. See the decision.\n")
        say(f"{cohort}: no champion, nothing to serve. {at.decision} says why.")
        return
    version = fetch_champion(client, cohort, at.bundle)
    manifest = verify_bundle(at.bundle)
    known = validations_of(client, version_called(client, cohort, version.version))
    today = datetime.now(UTC).date().isoformat()
    write_validations(at.bundle, model=manifest.name, version=version.version, asked=today, found=known)
    write_example(at.bundle)
    tag = build_bento(at.bundle, out=at.bento, repository=at.root.resolve())
    say(f"{cohort}: version {version.version} ({manifest.title}), Bento {tag}, external validations: {len(known)}")


if __name__ == "__main__":
    stage(main)
