"""Stage *package*: the champion's bundle, fetched from the registry and verified, and the Bento built from it."""

import shutil

from relapse.bundle.load import verify_bundle
from relapse.console import say, stage
from relapse.serving.bento import build_bento
from relapse.settings import Workspace, machinery
from relapse.tracking.client import connect
from relapse.tracking.registry import fetch_champion


def main(cohort: str) -> None:
    """Make the champion of a cohort ready to be served."""
    at = Workspace(cohort)
    shutil.rmtree(at.bundle, ignore_errors=True)
    version = fetch_champion(connect(machinery()), cohort, at.bundle)
    manifest = verify_bundle(at.bundle)
    tag = build_bento(at.bundle, out=at.bento, repository=at.root.resolve())
    say(f"{cohort}: version {version.version} ({manifest.title}), Bento {tag}")


if __name__ == "__main__":
    stage(main)
