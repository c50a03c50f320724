"""EfficientNet-lite0 with ImageNet weights on each patient's picture: pretrained, and at hand without a download."""

from relapse.candidates.picture_score import LITE0
from relapse.candidates.pictures import MEMBERS, picture_family

FAMILY = picture_family(
    LITE0,
    "EfficientNet-lite0",
    description=(
        f"{MEMBERS} networks, averaged: EfficientNet-lite0 (Tan and Le 2019) with ImageNet weights on the picture, all "
        "but its last layers frozen and run once, with the strength of its finer maps, beside the clinical predictors; "
        "Cox partial likelihood or cross-entropy."
    ),
    remark=lambda cohort: None,
)
