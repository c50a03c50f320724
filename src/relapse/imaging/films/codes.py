"""From descriptors of a mass to the study's codes, each with its probabilities, and to a size with its interval.

What is known differs from lesion to lesion: of a drawn mass all is known, of a real one what kind it is. So a code is
put together from heads that each learn from those of which it is known. Whether a lesion is a mass, an asymmetry or a
distortion is learnt from real ones only, else drawn and real would be told apart instead; whether a mass is oval, from
drawn ones. Margins are learnt from both. Heads are logistic regressions, whose penalty is chosen in folds that keep
women together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.films.descriptors import NAMES
from relapse.imaging.films.mias import KINDS
from relapse.imaging.films.reading import Size

Array = NDArray[np.float64]

#: Code of the margin that a kind stands for, and of the shape; a mass has shape 0 or 1, not said which.
MARGIN_OF: dict[str, int] = {"CIRC": 0, "MISC": 2, "SPIC": 3}
SHAPE_OF: dict[str, int] = {"ASYM": 2, "ARCH": 3}

#: Kinds that are masses.
_MASSES = ("CIRC", "SPIC", "MISC")

#: Penalties (inverse strength) to choose from, and how many folds choose.
_PENALTIES, _FOLDS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0), 5

#: Right to a quarter: what a size's confidence is the probability of. Ends of its interval. Limits of what is said.
_QUARTER, _ENDS, _SURE = 0.25, (0.05, 0.95), (0.01, 0.99)

#: Fewest lesions with a known size from which an interval is made.
_FEWEST = 20

#: Weight of a real lesion's margin: drawn ones are many, and easier.
_REAL = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A logistic regression with several classes: the softmax of ``((x - mean) / scale) @ weights + bias``.

    ``classes`` (c,) are the codes that its columns stand for.
    """

    mean: Array
    scale: Array
    weights: Array
    bias: Array
    classes: NDArray[np.int64]

    def probabilities(self, values: Array, count: int) -> Array:
        """Probability of each of ``count`` codes, of one lesion; 0 of those it never saw."""
        # A value far outside of what was learnt from would make sure of anything.
        scores = np.clip((values - self.mean) / self.scale, -4, 4) @ self.weights + self.bias
        raised = np.exp(scores - scores.max())
        found = np.zeros(count)
        found[self.classes] = raised / raised.sum()
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """What turns descriptors to codes; arrays only.

    Parameters
    ----------
    heads
        By name: ``mass`` (mass, asymmetry, distortion), ``form`` (oval, or round or irregular), ``margin``, ``kind``,
        and ``right`` (whether a size is right to a quarter). A head that nothing was known for is not there.
    bounds
        Edges (k - 1,) between groups of certainty.
    ends
        (k, 3): 5% quantile, median and 95% quantile of true over measured size in each group, on held-out lesions.
    """

    heads: Mapping[str, Head] = field(default_factory=dict)
    bounds: Array = field(default_factory=lambda: np.zeros(0))
    ends: Array = field(default_factory=lambda: np.array([[0.5, 1.0, 2.0]]))

    def shape(self, descriptors: Array) -> tuple[float, float, float, float]:
        """Probabilities of the four shapes."""
        mass, asymmetric, distorted = self._asked("mass", descriptors, 3, (1.0, 0.0, 0.0))
        oval, irregular = self._asked("form", descriptors, 2, (0.5, 0.5))
        return float(mass * oval), float(mass * irregular), float(asymmetric), float(distorted)

    def margin(self, descriptors: Array) -> tuple[float, float, float, float]:
        """Probabilities of the four margins."""
        first, second, third, fourth = self._asked("margin", descriptors, 4, (0.25,) * 4)
        return float(first), float(second), float(third), float(fourth)

    def kind(self, descriptors: Array) -> Array:
        """Probabilities of :data:`KINDS`."""
        return self._asked("kind", descriptors, len(KINDS), (1 / len(KINDS),) * len(KINDS))

    def size(self, diameter: float, certainty: float, descriptors: Array) -> Size:
        """The size of a lesion of which ``diameter`` mm were measured, set right by the usual error."""
        low, middle, high = self.ends[int(np.searchsorted(self.bounds, certainty, side="right"))]
        beside = np.array([np.log(diameter), certainty, *descriptors])
        right = float(self._asked("right", beside, 2, (0.5, 0.5))[1])
        value = diameter * float(middle)
        return Size(value, diameter * float(low), diameter * float(high), float(np.clip(right, *_SURE)))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, by name."""
        found: dict[str, NDArray[Any]] = {"bounds": self.bounds, "ends": self.ends}
        for name, head in self.heads.items():
            for part in Head.__slots__:
                found[f"{name}.{part}"] = getattr(head, part)
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Codes":
        """Make them again of what :meth:`to_arrays` gave."""
        names = sorted({name.split(".")[0] for name in arrays if "." in name})
        heads = {name: Head(*(arrays[f"{name}.{part}"] for part in Head.__slots__)) for name in names}
        return cls(heads, arrays["bounds"], arrays["ends"])

    def _asked(self, name: str, values: Array, count: int, otherwise: Sequence[float]) -> Array:
        head = self.heads.get(name)
        return np.array(otherwise) if head is None else head.probabilities(np.asarray(values, np.float64), count)


def fit_codes(
    descriptors: Array,
    *,
    shape: Sequence[int],
    margin: Sequence[int],
    kind: Sequence[str],
    true_diameter: Array,
    measured: Array,
    certainty: Array,
    groups: Sequence[Any],
    seed: int,
) -> Codes:
    """Learn the heads.

    Parameters
    ----------
    descriptors
        (n, descriptors), of masks as they are found, not of the true ones: those are what will be asked about.
    shape, margin
        Codes, or -1 where they are not known. Of real lesions leave them out: ``kind`` says what can be known.
    kind
        One of :data:`KINDS`, or empty for a drawn lesion.
    true_diameter, measured, certainty
        Of each lesion, in mm; ``true_diameter`` may be nan. ``measured`` and ``certainty`` are those of an outline by a
        network that has not seen the lesion.
    groups
        Who belongs together: lesions of a woman.
    seed
        Of the folds.
    """
    known_shape, known_margin = np.asarray(shape), np.asarray(margin)
    kinds, women = np.asarray(kind, dtype=str), np.asarray(groups).astype(str)
    if descriptors.ndim != 2 or descriptors.shape[1] != len(NAMES):
        raise ValueError(f"descriptors of shape {descriptors.shape}: (lesions, {len(NAMES)}) is needed.")
    strange = sorted(set(kinds) - {*KINDS, ""})
    if strange:
        raise ValueError(f"unknown kinds of lesions: {', '.join(strange)}. Known are {', '.join(KINDS)}.")
    real = kinds != ""
    mass = np.array([0 if one in _MASSES else SHAPE_OF.get(one, 0) - 1 if one in SHAPE_OF else -1 for one in kinds])
    form = np.where(~real & np.isin(known_shape, (0, 1)), known_shape, -1)
    edges = np.array([MARGIN_OF.get(one, -1) for one in kinds])
    edges = np.where(real, edges, known_margin)
    index = np.array([KINDS.index(one) if one else -1 for one in kinds])
    errors = np.log(true_diameter / measured)
    sized = np.isfinite(errors)
    bounds, ends = _ends(errors[sized], certainty[sized])
    middles = ends[np.searchsorted(bounds, certainty, side="right"), 1]
    right = np.where(sized, np.abs(measured * middles / true_diameter - 1) <= _QUARTER, -1).astype(np.int64)
    beside = np.column_stack([np.log(measured), certainty, descriptors])
    weights = np.where(real, _REAL, 1.0)
    wanted = {
        "mass": (descriptors, mass),
        "form": (descriptors, form),
        "margin": (descriptors, edges),
        "kind": (descriptors, index),
        "right": (beside, right),
    }
    heads = {name: fitted(values, code, women, weights, seed) for name, (values, code) in wanted.items()}
    return Codes({name: head for name, head in heads.items() if head is not None}, bounds, ends)


def fitted(values: Array, codes: NDArray[np.int64], groups: NDArray[Any], weights: Array, seed: int) -> Head | None:
    """Fit one head to the rows whose code is known (0 or more); None if fewer than two codes are there."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedGroupKFold

    known = codes >= 0
    values, codes, groups, weights = values[known], codes[known], groups[known], weights[known]
    classes = np.unique(codes)
    if len(classes) < 2:
        return None
    mean, scale = values.mean(0), np.maximum(values.std(0), 1e-6)
    scaled = np.clip((values - mean) / scale, -4, 4)

    def fit(rows: NDArray[np.int_], penalty: float) -> Any:
        return LogisticRegression(C=penalty, max_iter=2000, random_state=seed).fit(
            scaled[rows], codes[rows], sample_weight=weights[rows]
        )

    best = _PENALTIES[len(_PENALTIES) // 2]
    folds = min(_FOLDS, len(np.unique(groups)), int(np.unique(codes, return_counts=True)[1].min()))
    if folds >= 2:
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        splits = [
            (learnt, held)
            for learnt, held in splitter.split(scaled, codes, groups)
            if len(np.unique(codes[learnt])) == len(classes)
        ]
        if splits:
            lost = {
                penalty: sum(
                    log_loss(
                        codes[held],
                        fit(learnt, penalty).predict_proba(scaled[held]),
                        labels=classes,
                        sample_weight=weights[held],
                        normalize=False,
                    )
                    for learnt, held in splits
                )
                for penalty in _PENALTIES
            }
            best = min(lost, key=lambda penalty: lost[penalty])
    model = fit(np.arange(len(codes)), best)
    coefficients, bias = model.coef_.T, model.intercept_
    if len(classes) == 2:
        coefficients, bias = np.column_stack([0 * coefficients, coefficients]), np.array([0.0, bias[0]])
    return Head(mean, scale, coefficients, np.asarray(bias, np.float64), classes.astype(np.int64))


def _ends(errors: Array, certainty: Array) -> tuple[Array, Array]:
    """Quantiles of true over measured size, in as many groups of certainty (up to three) as there are lesions for."""
    if len(errors) < _FEWEST:
        return np.zeros(0), np.array([[0.5, 1.0, 2.0]])
    count = min(3, len(errors) // _FEWEST)
    bounds = np.unique(np.quantile(certainty, np.arange(1, count) / count))
    which = np.searchsorted(bounds, certainty, side="right")
    rows = []
    for group in range(len(bounds) + 1):
        here = errors[which == group] if (which == group).sum() >= _FEWEST // 2 else errors
        ordered = np.sort(here)
        # Ends as conformal prediction has them: with n held-out errors, the interval holds 90% of new ones at least.
        outward = np.ceil((len(ordered) + 1) * _ENDS[1]) - 1
        high = ordered[min(int(outward), len(ordered) - 1)]
        low = ordered[max(len(ordered) - 1 - int(outward), 0)]
        rows.append([low, float(np.median(ordered)), high])
    return bounds, np.exp(np.array(rows))
