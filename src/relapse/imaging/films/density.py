"""How dense a breast is: a map of dense tissue, its share in percent, and the class of tissue.

Dense tissue is what is brighter than fat of the same thickness would be. How bright fat is where the breast thins out
towards the skin is taken from the breast itself: the darker pixels at each distance from the skin. Where nothing of a
breast is fat, that level is held down, since films are scaled alike.

The class of tissue is mini-MIAS's: fatty, fatty-glandular, dense-glandular. Its probabilities are a mean of those of a
regression on features of the tissue and of small networks that see the map; both are numbers only, so that no
machine-learning library is needed to read a film.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.films.breast import Breast, enlarged, resized
from relapse.workers import one_thread

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Millimetres between pixels of the grid on which tissue is measured.
_STEP = 0.8

#: Distances from the skin in mm between which fat has one level.
_DEPTHS = (0, 2, 4, 6, 8, 11, 14, 18, 24, 30, 40, 60, 250)

#: Share of the pixels at a distance that is fat at least; the brightest that fat can be; by how much dense tissue is
#: brighter, in shares of the grey range. Set on mini-MIAS, where others around them order films as well.
_FAT, _BRIGHTEST, _DENSER = 0.1, 0.65, 0.2

#: Smallest speck of dense tissue, and hole in it, in mm².
_SPECK = 6.0

#: Millimetres from the skin from which on tissue counts for texture: nearer, the thinning shows.
_DEEP = 5.0

#: Side of the picture that networks see.
PICTURE = 64

#: Brings a picture's numbers to about 1, as networks learn from best.
_GAIN = 4.0

#: By how many percent of dense area the two denser classes of BI-RADS part, and how gradually.
_EXTREME, _GRADUAL = 75.0, 6.0

_ABOVE = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
_BRIGHT = (0.65, 0.7, 0.75, 0.8, 0.85)
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
_SCALES = (1.0, 2.0, 4.0, 8.0)
_APART = (1, 3, 8)
_TEXTURES = ("contrast", "homogeneity", "energy", "correlation")

#: Names of what :func:`tissue_features` gives.
FEATURES: tuple[str, ...] = (
    *(f"share brighter than fat by {level:g}" for level in _ABOVE),
    *(f"share brighter than {level:g}" for level in _BRIGHT),
    *(f"quantile {share:g} of brightness beyond fat" for share in _QUANTILES),
    "mean",
    "deviation",
    "skewness",
    "kurtosis",
    "fat",
    "Otsu's threshold",
    *(f"texture finer than {scale * _STEP:g} mm" for scale in _SCALES),
    *(f"{texture} over {apart * _STEP:g} mm" for apart in _APART for texture in _TEXTURES),
    "muscle beside breast",
    "area",
)


@dataclass(frozen=True, slots=True, eq=False)
class _Tissue:
    """A breast on the coarse grid: grey levels, those beyond fat, masks, and millimetres from the skin."""

    grey: Array
    beyond: Array
    mask: Mask
    muscle: Mask
    depth: Array
    fat: float


def dense_tissue(breast: Breast) -> tuple[Mask, float]:
    """Dense tissue of a breast: its mask (rows, columns), and its share of the breast's area in percent."""
    tissue = _tissue(breast)
    dense = _dense(tissue)
    percent = 100 * float(dense.sum()) / max(int(tissue.mask.sum()), 1)
    return enlarged(dense, breast.image.shape) & breast.mask, percent


def tissue_features(breast: Breast) -> Array:
    """Numbers of the tissue (:data:`FEATURES`): shares, quantiles, texture; all finite."""
    from skimage.feature import graycomatrix, graycoprops
    from skimage.filters import threshold_otsu

    tissue = _tissue(breast)
    grey, beyond = tissue.grey[tissue.mask], tissue.beyond[tissue.mask]
    deep = tissue.mask & (tissue.depth > _DEEP)
    if not deep.any():
        deep = tissue.mask
    inner = tissue.grey[deep]
    mean, deviation = float(inner.mean()), float(max(inner.std(), 1e-6))
    found = [float((beyond > level).mean()) for level in _ABOVE]
    found += [float((grey > level).mean()) for level in _BRIGHT]
    found += [float(one) for one in np.quantile(beyond, _QUANTILES)]
    found += [mean, deviation, float((((inner - mean) / deviation) ** 3).mean())]
    found += [float((((inner - mean) / deviation) ** 4).mean()), tissue.fat]
    found.append(float(threshold_otsu(grey)) if np.ptp(grey) > 0 else mean)
    found += [_roughness(tissue.grey, deep, scale) for scale in _SCALES]
    # What is not tissue has a level of its own, whose pairs are left out.
    levels = np.where(deep, 1 + np.clip(tissue.grey * 16, 0, 15).astype(np.uint8), 0).astype(np.uint8)
    pairs = graycomatrix(levels, _APART, (0, np.pi / 2), levels=17, symmetric=True)[1:, 1:].astype(np.float64)
    pairs = pairs.sum(axis=3, keepdims=True)
    pairs /= np.maximum(pairs.sum(axis=(0, 1), keepdims=True), 1)
    textures = [graycoprops(pairs, texture)[:, 0] for texture in _TEXTURES]
    found += [float(texture[place]) for place in range(len(_APART)) for texture in textures]
    muscle = float(tissue.grey[tissue.muscle].mean()) if tissue.muscle.sum() > 20 else 1.0
    found += [muscle - float(np.median(grey)), float(tissue.mask.sum()) * _STEP**2 / 1e4]
    return np.nan_to_num(np.array(found, dtype=np.float64), posinf=0.0, neginf=0.0)


def tissue_picture(breast: Breast) -> NDArray[np.float32]:
    """What networks see of a breast: brightness beyond fat, stretched over (64, 64); 0 where there is no tissue."""
    from PIL import Image

    tissue = _tissue(breast)
    rows, columns = np.flatnonzero(tissue.mask.any(axis=1)), np.flatnonzero(tissue.mask.any(axis=0))
    part = np.where(tissue.mask, tissue.beyond, 0.0)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    picture = Image.fromarray(part.astype(np.float32))
    return np.asarray(picture.resize((PICTURE, PICTURE), Image.Resampling.BOX), dtype=np.float32)


def bi_rads(tissue: tuple[float, float, float], percent: float) -> tuple[float, float, float, float]:
    """Probabilities of four classes like those of BI-RADS, from the three of mini-MIAS.

    Fatty and fatty-glandular tissue are the first two. Dense-glandular tissue is the third or the fourth: the fourth
    edition of BI-RADS parts them at 75% of the area, here gradually. They are no radiologist's BI-RADS classes: nobody
    read any for these films.
    """
    fatty, glandular, dense = tissue
    extreme = 1 / (1 + float(np.exp((_EXTREME - percent) / _GRADUAL)))
    return fatty, glandular, dense * (1 - extreme), dense * extreme


def _tissue(breast: Breast) -> _Tissue:
    from scipy import ndimage

    by = min(1.0, breast.spacing / _STEP)
    step = breast.spacing / by
    grey = resized(breast.image, by).astype(np.float64)
    mask = resized(breast.mask.astype(np.float32), by) > 0.5
    muscle = resized(breast.pectoral.astype(np.float32), by) > 0.5
    if not mask.any():
        mask = resized(breast.mask.astype(np.float32), by) > 0
    # The chest wall is no skin: the breast goes on behind it.
    whole = np.pad(mask | muscle, ((0, 0), (1, 0)))
    first = np.flatnonzero(whole.any(axis=0))
    if len(first):
        whole[:, : first[0]] = whole[:, first[0] : first[0] + 1]
    depth = np.asarray(ndimage.distance_transform_edt(whole))[:, 1:] * step
    beyond, fat = _beyond_fat(grey, mask, depth)
    return _Tissue(grey, beyond, mask, muscle, depth, fat)


def _beyond_fat(grey: Array, mask: Mask, depth: Array) -> tuple[Array, float]:
    """By how much each pixel is brighter than fat as far from the skin, and how bright fat is where it is thickest."""
    values, depths = grey[mask], depth[mask]
    places, levels = [], []
    for low, high in pairwise(_DEPTHS):
        there = (depths >= low) & (depths < high)
        if there.sum() > 20:
            places.append(min((low + high) / 2, 70.0))
            levels.append(float(np.quantile(values[there], _FAT)))
    if not places:
        places, levels = [0.0], [float(np.quantile(values, _FAT))]
    # The breast does not grow thinner inwards.
    profile = np.minimum(np.maximum.accumulate(levels), _BRIGHTEST)
    return grey - np.interp(depth, places, profile), float(profile[-1])


def _dense(tissue: _Tissue) -> Mask:
    from scipy import ndimage
    from skimage.morphology import remove_small_holes, remove_small_objects

    smooth = ndimage.gaussian_filter(tissue.beyond, 0.6)
    dense = (smooth > _DENSER) & tissue.mask
    most = max(1, round(_SPECK / _STEP**2))
    cleaned = remove_small_holes(remove_small_objects(dense, max_size=most), max_size=most)
    return np.asarray(cleaned & tissue.mask, dtype=np.bool_)


def _roughness(grey: Array, mask: Mask, scale: float) -> float:
    """Deviation of what is finer than a scale, from a mean that counts tissue only."""
    from scipy import ndimage

    weight = ndimage.gaussian_filter(mask.astype(np.float64), scale)
    mean = ndimage.gaussian_filter(np.where(mask, grey, 0.0), scale) / np.maximum(weight, 1e-6)
    return float((grey - mean)[mask].std())


@dataclass(frozen=True, slots=True, eq=False)
class TissueHead:
    """Tells the class of tissue from features and picture of a breast.

    Parameters
    ----------
    mean, deviation
        Of the features (k,).
    kernel, constant
        Of the regression on standardised features: (3, k) and (3,).
    networks
        Weights of each network: kernels (out, in, 3, 3) and constants of its convolutions, then kernel and constant of
        its last layer.
    share
        How much the networks count, 0 to 1; the rest is the regression's.
    """

    mean: Array
    deviation: Array
    kernel: Array
    constant: Array
    networks: tuple[tuple[NDArray[np.float32], ...], ...]
    share: float

    def probabilities(self, features: Array, pictures: NDArray[np.float32]) -> Array:
        """Probabilities (n, 3) of fatty, fatty-glandular and dense-glandular tissue.

        Parameters
        ----------
        features
            (n, k), of :func:`tissue_features`.
        pictures
            (n, 64, 64), of :func:`tissue_picture`.
        """
        found = _softmax((features - self.mean) / self.deviation @ self.kernel.T + self.constant)
        if self.networks and self.share:
            seen = np.mean([_softmax(_outputs(one, pictures)) for one in self.networks], axis=0)
            found = (1 - self.share) * found + self.share * seen
        return np.asarray(found)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Its numbers by name, as ``numpy.savez`` takes them."""
        found: dict[str, NDArray[Any]] = {
            "mean": self.mean,
            "deviation": self.deviation,
            "kernel": self.kernel,
            "constant": self.constant,
            "share": np.array(self.share),
        }
        for number, weights in enumerate(self.networks):
            found |= {f"network{number}.{place}": one for place, one in enumerate(weights)}
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "TissueHead":
        """Take up what :meth:`to_arrays` gave."""
        networks: list[tuple[NDArray[np.float32], ...]] = []
        while f"network{len(networks)}.0" in arrays:
            name = f"network{len(networks)}."
            count = sum(key.startswith(name) for key in arrays)
            networks.append(tuple(np.asarray(arrays[f"{name}{place}"], dtype=np.float32) for place in range(count)))
        mean, deviation, kernel, constant = (
            np.asarray(arrays[name], dtype=np.float64) for name in ("mean", "deviation", "kernel", "constant")
        )
        return cls(mean, deviation, kernel, constant, tuple(networks), float(arrays["share"]))


def _softmax(scores: Array) -> Array:
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def _outputs(weights: tuple[NDArray[np.float32], ...], pictures: NDArray[np.float32]) -> Array:
    """What a network says (n, 3) of pictures: convolutions by twos, their means, a last layer."""
    maps = _GAIN * np.asarray(pictures, dtype=np.float32)[:, None]
    *layers, kernel, constant = weights
    for taps, shift in zip(layers[::2], layers[1::2], strict=True):
        padded = np.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::2, ::2]
        maps = np.tensordot(windows, taps, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2) + shift[:, None, None]
        maps = np.maximum(maps, 0)
    return np.asarray(maps.mean(axis=(2, 3)) @ kernel.T + constant, dtype=np.float64)


#: Channels of the networks' convolutions; epochs, films a batch, learning rate and decay of their training.
_CHANNELS, _EPOCHS, _BATCH, _RATE, _DECAY = (8, 16, 32), 50, 32, 3e-3, 1e-2

#: Inner folds, each of which trains a network; strengths of the regression and shares of the networks to choose from.
_FOLDS, _STRENGTHS, _SHARES = 4, (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0), (0.0, 0.25, 0.5, 0.75)


def fit_tissue(
    features: Array,
    pictures: NDArray[np.float32],
    labels: NDArray[np.int_],
    groups: NDArray[Any],
    *,
    seed: int = 0,
    epochs: int = _EPOCHS,
) -> TissueHead:
    """Learn the class of tissue.

    Parameters
    ----------
    features
        (n, k).
    pictures
        (n, 64, 64).
    labels
        (n,), 0 to 2; each class occurs in four groups at least.
    groups
        (n,), whose film it is: women are never parted between inner folds.
    seed
        Of folds and networks.
    epochs
        Of each network.

    Notes
    -----
    The strength of the regression and the share of the networks are those with the least log-loss on held-out women of
    inner folds. The network of each inner fold, which has not seen the fold, is kept, and all of them are averaged.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    parts = list(StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed).split(features, labels, groups))
    regressed = {strength: np.zeros((len(labels), 3)) for strength in _STRENGTHS}
    seen = np.zeros((len(labels), 3))
    networks = []
    for number, (inner, held) in enumerate(parts):
        for strength, found in regressed.items():
            mean, deviation, kernel, constant = _regression(features[inner], labels[inner], strength)
            found[held] = _softmax((features[held] - mean) / deviation @ kernel.T + constant)
        weights = _network(pictures[inner], labels[inner], seed * _FOLDS + number, epochs)
        seen[held] = _softmax(_outputs(weights, pictures[held]))
        networks.append(weights)
    strength = min(_STRENGTHS, key=lambda one: _log_loss(regressed[one], labels))
    best = regressed[strength]
    share = min(_SHARES, key=lambda one: _log_loss((1 - one) * best + one * seen, labels))
    return TissueHead(*_regression(features, labels, strength), tuple(networks), share)


def _log_loss(probabilities: Array, labels: NDArray[np.int_]) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-9)).mean())


def _regression(features: Array, labels: NDArray[np.int_], strength: float) -> tuple[Array, Array, Array, Array]:
    from sklearn.linear_model import LogisticRegression

    mean, deviation = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-9)
    model = LogisticRegression(C=strength, max_iter=2000).fit((features - mean) / deviation, labels)
    return mean, deviation, np.asarray(model.coef_), np.asarray(model.intercept_)


def _network(
    pictures: NDArray[np.float32], labels: NDArray[np.int_], seed: int, epochs: int
) -> tuple[NDArray[np.float32], ...]:
    """Train one network; its weights as :class:`TissueHead` keeps them."""
    import torch

    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[torch.nn.Module] = []
        for before, after in zip((1, *_CHANNELS), _CHANNELS, strict=False):
            layers += [torch.nn.Conv2d(before, after, 3, stride=2, padding=1), torch.nn.ReLU()]
        last = torch.nn.Linear(_CHANNELS[-1], 3)
        network = torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), last)
        images, classes = _GAIN * torch.tensor(pictures)[:, None], torch.tensor(labels, dtype=torch.int64)
        batches = -(-len(labels) // _BATCH)
        optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=epochs * batches)
        for _ in range(epochs):
            for rows in torch.randperm(len(labels)).split(_BATCH):
                loss = torch.nn.functional.cross_entropy(network(_varied(images[rows])), classes[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return tuple(one.detach().numpy().copy() for one in network.parameters())


def _varied(images: "torch.Tensor") -> "torch.Tensor":
    """Pictures moved by a few rows, some upside down, a little brighter or darker."""
    import torch

    gain = 1 + 0.1 * torch.randn(len(images), 1, 1, 1)
    moved = torch.roll(images, int(torch.randint(-4, 5, ())), dims=2)
    turned = torch.rand(len(images), 1, 1, 1) < 0.5
    return torch.where(turned, moved.flip(2), moved) * gain
