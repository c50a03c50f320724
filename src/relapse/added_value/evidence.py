"""Evidence on added value: every figure behind the answers, in types that go to JSON and back."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter

from relapse.added_value.questions import Role
from relapse.evaluation.calibration import CalibrationSummary
from relapse.evaluation.metrics import Endpoint
from relapse.evaluation.statistics.added.likelihood_ratio import AddedScore
from relapse.evaluation.statistics.added.net_benefit import NetBenefitDifference
from relapse.evaluation.statistics.added.reclassification import Reclassification
from relapse.evaluation.statistics.results import Estimate, PairedTest
from relapse.ground.files import write_text
from relapse.wording import SIGNIFICANCE


@dataclass(frozen=True, slots=True)
class ModelEvidence:
    """One model of a question: pooled out-of-fold metrics, and calibration by risk column.

    ``within_sites`` is the ranking metric over pairs of patients of one site; None where the cohort has one site.
    """

    role: Role
    metrics: dict[str, Estimate]
    calibration: dict[str, CalibrationSummary]
    within_sites: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The difference of the ranking metric to the base in some of the patients.

    ``kind`` is ``subgroup``, ``site`` (predicted by models that have seen other patients of the site) or ``left out``
    (by models that have seen none of them); ``column`` names the subgroup's column. ``base`` is the base's own metric.
    ``note`` says why there is no figure where there is none.
    """

    kind: str
    column: str
    level: str
    rows: int
    patients: int
    patients_with_event: int
    base: Estimate | None = None
    test: PairedTest | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Reclassified:
    """How risks at one horizon move once the block is there: NRI without and with categories, and IDI.

    They are here because readers ask for them, not as evidence: a useless score that is fitted to the same patients, or
    merely badly calibrated, gives a positive NRI (Hilden & Gerds 2014; Kerr et al. 2014).
    """

    label: str
    cuts: tuple[float, ...]
    continuous: Reclassification
    categorical: Reclassification
    idi: Reclassification


@dataclass(frozen=True, slots=True)
class Addition:
    """One way of adding the block (``score`` or ``joint``), against the base on the same patients.

    ``test`` is Kang's or DeLong's of the ranking metric; ``p_holm`` its p over all blocks, families and ways.
    ``horizons`` are tests of the AUC by risk column; ``differences`` are those of every metric, from the same resamples
    of patients. ``net_benefit`` is looked at over the thresholds of the policy, by the last horizon;
    ``reclassification`` has NRI and IDI by risk column.
    """

    role: Role
    test: PairedTest
    p_holm: float
    horizons: dict[str, PairedTest]
    differences: dict[str, Estimate]
    net_benefit: NetBenefitDifference
    reclassification: dict[str, Reclassified]
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class FamilyEvidence:
    """A question answered with one candidate family.

    ``score_test`` is the test of the block's out-of-fold score beside the covariates of the base; ``p`` is the p-value
    that the answer rests on, one-sided and of half the chi-square (1 where the score is the same for all, which adds
    nothing), and ``p_holm`` the same after Holm over all questions and families.
    """

    family: str
    title: str
    models: tuple[ModelEvidence, ...]
    additions: tuple[Addition, ...]
    score_test: AddedScore
    p: float
    p_holm: float

    def model(self, role: Role) -> ModelEvidence:
        """The evidence on one model."""
        return next(item for item in self.models if item.role == role)

    def addition(self, role: Role) -> Addition:
        """The evidence on one way of adding the block."""
        return next(item for item in self.additions if item.role == role)

    @property
    def shown(self) -> bool:
        """Whether the block was shown to add something, with this family."""
        return self.p_holm < SIGNIFICANCE


@dataclass(frozen=True, slots=True)
class Answer:
    """One question and its answer: shown where it is with any family, Holm's adjustment paying for the choice."""

    name: str
    block: str
    base: str
    words: str
    block_features: int
    base_features: tuple[str, ...]
    families: tuple[FamilyEvidence, ...]

    @property
    def shown(self) -> bool:
        """Whether the block was shown to add something to the base."""
        return any(item.shown for item in self.families)

    @property
    def leading(self) -> FamilyEvidence:
        """The family declared first: the one that groups of patients are looked at with."""
        return self.families[0]


@dataclass(frozen=True, slots=True)
class AddedValue:
    """All answers of a cohort; none where it declares no blocks.

    ``failed`` names the questions that a family could not answer, and why; ``seconds`` says where the time went.
    """

    __pydantic_config__ = ConfigDict(ser_json_inf_nan="constants")

    cohort: str
    endpoint: Endpoint
    rows: int
    patients: int
    patients_with_event: int
    resamples: int
    answers: tuple[Answer, ...]
    failed: dict[str, str]
    seconds: dict[str, float]

    @property
    def primary(self) -> str:
        """Key of the ranking metric."""
        return self.endpoint.primary.key

    @property
    def primary_label(self) -> str:
        """Name of the ranking metric for people."""
        return self.endpoint.primary.label

    def headline(self) -> dict[str, dict[str, dict[str, float]]]:
        """The plain values by question and family, for ``dvc metrics`` and MLflow; left out where unknown.

        ``difference`` is that of the ranking metric with the block's score added, ``joint_difference`` with one model.
        """
        return {answer.name: {item.family: _plain(item) for item in answer.families} for answer in self.answers}

    def answers_on(self, block: str) -> tuple[Answer, ...]:
        """The answers of the questions that a block asks."""
        return tuple(item for item in self.answers if item.block == block)


def _plain(item: FamilyEvidence) -> dict[str, float]:
    score, joint = item.addition(Role.SCORE), item.addition(Role.JOINT)
    found = {
        "difference": score.test.difference,
        "difference_lower": score.test.lower,
        "difference_upper": score.test.upper,
        "difference_p": score.test.p,
        "difference_p_holm": score.p_holm,
        "joint_difference": joint.test.difference,
        "joint_difference_lower": joint.test.lower,
        "joint_difference_upper": joint.test.upper,
        "joint_difference_p_holm": joint.p_holm,
        "score_ratio": item.score_test.ratio.value,
        "score_p": item.p,
        "score_p_holm": item.p_holm,
        "shown": float(item.shown),
    }
    return {key: round(value, 6) for key, value in found.items() if value == value}


_ADAPTER = TypeAdapter(AddedValue)


def write_added_value(path: Path, found: AddedValue) -> None:
    """Write the evidence as JSON; a value that could not be computed is the constant NaN."""
    write_text(path, _ADAPTER.dump_json(found, indent=2).decode() + "\n")


def read_added_value(path: Path) -> AddedValue:
    """Read what :func:`write_added_value` wrote."""
    return _ADAPTER.validate_json(path.read_bytes())
