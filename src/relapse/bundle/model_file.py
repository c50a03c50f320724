"""A trained model as a file that executes no code when it is read.

skops stores a tree of arrays and of type names, and builds only types that the reader trusts. The list of trusted
types is here, in code, and never read from a file. What it does not protect from: a tree ensemble whose node numbers
were altered on purpose can crash the process, so the bundle's digests are compared before the file is opened.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from importlib.metadata import packages_distributions, version
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

from relapse.candidates.risk_model import RiskModel, Shift, recalibration_from
from relapse.ground.errors import BundleError
from relapse.ground.files import write_atomic

#: Types beyond skops' own defaults that a model file may hold.
TRUSTED_TYPES = (
    "numpy.dtype",
    "relapse.candidates.base.BinaryModel",
    "relapse.candidates.base.SurvivalModel",
    "relapse.candidates.catboost.CatBoostBinary",
    "relapse.candidates.catboost.CatBoostCox",
    "relapse.candidates.cox.CoxRegression",
    "relapse.candidates.forest.SurvivalForest",
    "relapse.candidates.growing.BinaryForest",
    "relapse.candidates.networks.estimators.NetworkClassifier",
    "relapse.candidates.networks.estimators.NetworkCox",
    "relapse.candidates.networks.models.NetworkBinaryModel",
    "relapse.candidates.networks.models.NetworkSurvivalModel",
    "relapse.candidates.pictures.PictureBinaryModel",
    "relapse.candidates.pictures.PictureClassifier",
    "relapse.candidates.pictures.PictureCox",
    "relapse.candidates.picture_score.PictureScore",
    "relapse.candidates.pictures.PictureSurvivalModel",
    "relapse.candidates.svm.MarginClassifier",
    "relapse.candidates.svm.SurvivalMargin",
    "relapse.candidates.xgboost.BoostedClassifier",
    "relapse.candidates.xgboost.BoostedCox",
    "relapse.preprocessing.bounding.Bounded",
    "relapse.preprocessing.harmonising.Harmoniser",
    "relapse.preprocessing.harmonising.SiteEncoder",
    "relapse.preprocessing.iterative.Completing",
    "relapse.preprocessing.iterative.Iterative",
    "relapse.preprocessing.lacking.Lacking",
    "relapse.preprocessing.powers.YeoJohnson",
    "relapse.preprocessing.reduction.Reducer",
    "relapse.preprocessing.reduction.UsableColumns",
    "relapse.preprocessing.sampling.Oversampler",
    "sklearn.tree._tree.Tree",
    "sksurv.ensemble.forest.RandomSurvivalForest",
    "sksurv.tree.tree.SurvivalTree",
)

#: Modules that any model needs for predicting, and those needed only where a type's name starts like this. A model that
#: looks at pictures is asked about volumes, which are read, corrected and drawn.
_ALWAYS = ("numpy", "pandas", "scipy", "sklearn", "skops", "pydantic", "ruamel")
_WHERE_NAMED = {
    "sksurv.": ("sksurv",),
    "relapse.candidates.catboost.": ("catboost",),
    "relapse.candidates.picture_score.PictureScore": ("onnxruntime", "nibabel", "pydicom", "SimpleITK", "matplotlib"),
    "relapse.candidates.xgboost.": ("xgboost",),
}


def dump_model(model: RiskModel, path: Path) -> None:
    """Write a trained model; the same model gives the same bytes."""
    _dump(_content(model), path)


def dump_models(models: Sequence[RiskModel], path: Path) -> None:
    """Write several trained models into one file."""
    _dump([_content(model) for model in models], path)


def load_model(path: Path) -> RiskModel:
    """Read what :func:`dump_model` wrote.

    Raises
    ------
    BundleError
        Not a model file, or it holds a type that is not in :data:`TRUSTED_TYPES`.
    """
    with _readable(path):
        return _model(_load(path))


def load_models(path: Path) -> tuple[RiskModel, ...]:
    """Read what :func:`dump_models` wrote; raises as :func:`load_model`."""
    with _readable(path):
        return tuple(_model(content) for content in _load(path))


def needed_packages(path: Path) -> dict[str, str]:
    """The installed distributions, with their versions, that predicting with a model file needs."""
    named = _beyond_defaults(path)
    needed = (some for start, some in _WHERE_NAMED.items() if any(name.startswith(start) for name in named))
    return installed([*_ALWAYS, *(module for some in needed for module in some)])


def installed(modules: Iterable[str]) -> dict[str, str]:
    """The distributions that modules come from, all of those that share one, with their installed versions."""
    distributions = _distributions()
    found = sorted({name for module in modules for name in distributions[module]}, key=str.lower)
    return {name: version(name) for name in found}


@cache
def _distributions() -> Mapping[str, list[str]]:
    """The distributions of every module; asked once, since the files of each distribution are read for it."""
    return packages_distributions()


def _content(model: RiskModel) -> dict[str, Any]:
    content = {
        "model": model.model,
        "recalibration": asdict(model.recalibration) if model.recalibration else None,
        "threshold": model.threshold,
    }
    # Only where there is one: the bytes of all other models are what they were. And around the rest, so that a library
    # from before updates refuses the file: it would give risks that are not moved.
    return {"shift": asdict(model.shift), "of": content} if model.shift else content


def _model(content: dict[str, Any]) -> RiskModel:
    shift = Shift(**content["shift"]) if "shift" in content else None
    content = content["of"] if shift else content
    recalibration = recalibration_from(content["recalibration"]) if content["recalibration"] else None
    return RiskModel(content["model"], recalibration, content["threshold"], shift)


def _dump(content: Any, path: Path) -> None:
    write_atomic(path, lambda temporary: temporary.write_bytes(_reproducible(_skops().dumps(content))))


def _load(path: Path) -> Any:
    foreign = sorted(set(_beyond_defaults(path)) - set(TRUSTED_TYPES))
    if foreign:
        raise BundleError(f"{path.name} holds types that are not trusted: {', '.join(foreign)}. It was not loaded.")
    return _skops().load(path, trusted=list(TRUSTED_TYPES))


def _reproducible(archive: bytes) -> bytes:
    """Number the parts of skops' archive in their order, where skops names them after memory addresses; compress it."""
    with ZipFile(BytesIO(archive)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    numbers: dict[int, int] = {}
    parts: dict[str, str] = {}

    def renumbered(value: Any) -> Any:
        if isinstance(value, list):
            return [renumbered(item) for item in value]
        if not isinstance(value, dict):
            return value
        value = {key: renumbered(item) for key, item in value.items()}
        if "__id__" in value:
            value["__id__"] = numbers.setdefault(value["__id__"], len(numbers) + 1)
        if value.get("file") in members:
            value["file"] = parts.setdefault(value["file"], f"{len(parts) + 1}{Path(value['file']).suffix}")
        return value

    schema = json.dumps(renumbered(json.loads(members.pop("schema.json")))).encode()
    buffer = BytesIO()
    with ZipFile(buffer, "w") as target:
        # ZipInfo without a date carries 1980, so that no time of writing gets in.
        target.writestr(ZipInfo("schema.json"), schema, ZIP_DEFLATED)
        for name, renamed in parts.items():
            target.writestr(ZipInfo(renamed), members[name], ZIP_DEFLATED)
    return buffer.getvalue()


def _beyond_defaults(path: Path) -> list[str]:
    """The types in a model file that skops does not trust by itself; nothing of the file is built for this."""
    with _readable(path):
        found: list[str] = _skops().get_untrusted_types(file=path)
    return found


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    _skops()
    from skops.io.exceptions import UntrustedTypesFoundException

    # skops has no error of its own for a file that is not its own; these are what damaged ones were seen to raise.
    damaged = (
        BadZipFile,
        UntrustedTypesFoundException,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        ImportError,
    )
    try:
        yield
    except (*damaged, OSError) as error:
        raise BundleError(f"{path.name} is no readable model file ({type(error).__name__}).") from None


def _skops() -> Any:
    """skops.io, imported without torch.

    Its import walks through all of scikit-learn, which imports torch wherever that is installed: a second and 200 MB
    that no model here uses.
    """
    if "skops.io" in sys.modules:
        return sys.modules["skops.io"]
    hidden = "torch" not in sys.modules
    if hidden:
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        import skops.io
    finally:
        if hidden:
            del sys.modules["torch"]
    return skops.io
