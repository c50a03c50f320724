"""DenseNet121 on each patient's picture: the top tenth of its layers is trained, as in the DCE-MRI study."""

from relapse.candidates.pictures import MEMBERS, picture_family
from relapse.cohorts.schema import Cohort


def _remark(cohort: Cohort) -> str | None:
    return None if cohort.volumes and cohort.volumes.encoder.weights == "imagenet" else "not pretrained"


FAMILY = picture_family(
    "densenet121",
    "DenseNet121",
    description=(
        f"{MEMBERS} networks, averaged: DenseNet121 (Huang et al. 2017) on the picture, all but the top tenth of its "
        "layers frozen and run once, beside the clinical predictors; Cox partial likelihood or cross-entropy."
    ),
    remark=_remark,
)
