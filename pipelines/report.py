"""Stage *report*: a page, a model card and a checklist a cohort, from the files of the stages before."""

import shutil

from relapse.console import say, stage
from relapse.files import read_json, write_text
from relapse.report.documents import documents
from relapse.report.material import Material
from relapse.settings import Workspace, read_params


def main(cohort: str) -> None:
    """Write the documents on a cohort, and lay beside them what explains the model put forward."""
    at = Workspace(cohort)
    material = Material.read(at, read_params().candidates, decision=read_json(at.decision))
    for name, text in documents(material).items():
        write_text(at.report / name, text)
    # For `dvc plots`, whose paths cannot know who is put forward.
    for picture in ("beeswarm.png", "importance.png"):
        shutil.copyfile(at.explained(material.put_forward) / picture, at.report / picture)
    say(f"{cohort}: {at.report}")


if __name__ == "__main__":
    stage(main)
