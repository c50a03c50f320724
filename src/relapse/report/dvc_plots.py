"""What ``dvc plots`` shows of a cohort: the pictures of its report, and a curve that DVC draws over several commits."""

import shutil

from relapse.ground.workspace import Workspace
from relapse.report.material import Material


def write_plots(material: Material, at: Workspace) -> None:
    """Fill the folder of plots: the report's pictures as PNG, and the calibration of the candidate that it stands for.

    The curve is that of the last horizon, where there are several.
    """
    shutil.rmtree(at.plots, ignore_errors=True)
    at.plots.mkdir(parents=True)
    for folder in material.folders:
        for picture in sorted(folder.glob("*.png")):
            shutil.copyfile(picture, at.plots / picture.name)
    horizons = material.evidence.endpoint.horizons
    curve = "calibration" + (horizons[-1].column.removeprefix("risk") if horizons else "")
    shutil.copyfile(at.curves / curve / f"{material.put_forward}.csv", at.plots / "calibration.csv")
