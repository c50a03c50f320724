"""Stage *report*: page, model card, checklist and DVC's plots of a cohort, from the files of the stages before."""

from relapse.ground.console import say, stage
from relapse.ground.files import read_json, write_text
from relapse.ground.workspace import Workspace
from relapse.params import read_params
from relapse.report.documents import documents
from relapse.report.dvc_plots import write_plots
from relapse.report.material import Material


def main(cohort: str) -> None:
    """Write the documents on a cohort, and lay beside them what explains the model put forward."""
    at = Workspace(cohort)
    material = Material.read(at, read_params().candidates, decision=read_json(at.decision))
    for name, text in documents(material).items():
        write_text(at.report / name, text)
    write_plots(material, at)
    say(f"{cohort}: {at.report}")


if __name__ == "__main__":
    stage(main)
