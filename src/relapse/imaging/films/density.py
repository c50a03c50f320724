"""How dense a breast is: a map of dense tissue, its share in percent, and what tells the class of tissue.

Dense tissue is what is brighter than fat of the same thickness would be. How bright fat is where the breast thins out
towards the skin is taken from the breast itself: the darker pixels at each distance from the skin. Where nothing of a
breast is fat, that level is held down, since films are scaled alike.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.films.breast import Breast, enlarged, resized

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
class Tissue:
    """A breast on the coarse grid: grey levels, those beyond fat, masks, and millimetres from the skin."""

    breast: Breast
    grey: Array
    beyond: Array
    mask: Mask
    muscle: Mask
    depth: Array
    fat: float


def tissue_of(breast: Breast) -> Tissue:
    """Measure the tissue of a breast once, for all that is asked of it."""
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
    return Tissue(breast, grey, beyond, mask, muscle, depth, fat)


def dense_tissue(tissue: Tissue) -> tuple[Mask, float]:
    """Dense tissue: its mask (rows, columns) on the breast's image, and its share of the breast's area in percent."""
    dense = _dense(tissue)
    percent = 100 * float(dense.sum()) / max(int(tissue.mask.sum()), 1)
    return enlarged(dense, tissue.breast.image.shape) & tissue.breast.mask, percent


def tissue_features(tissue: Tissue) -> Array:
    """Numbers of the tissue (:data:`FEATURES`): shares, quantiles, texture; all finite."""
    from skimage.feature import graycomatrix, graycoprops
    from skimage.filters import threshold_otsu

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


def tissue_picture(tissue: Tissue) -> NDArray[np.float32]:
    """What networks see of a breast: brightness beyond fat, stretched over (64, 64); 0 where there is no tissue."""
    from PIL import Image

    rows, columns = np.flatnonzero(tissue.mask.any(axis=1)), np.flatnonzero(tissue.mask.any(axis=0))
    part = np.where(tissue.mask, tissue.beyond, 0.0)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    picture = Image.fromarray(part.astype(np.float32))
    return np.asarray(picture.resize((PICTURE, PICTURE), Image.Resampling.BOX), dtype=np.float32)


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


def _dense(tissue: Tissue) -> Mask:
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
