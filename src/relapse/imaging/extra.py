"""The extra ``imaging``: what images need beside what tables do, asked for before any work is done."""

import importlib.util

from relapse.ground.errors import SourceError

#: Packages of the extra, as they are imported. An encoder with weights in a package of its own asks for that itself.
NEEDED = ("SimpleITK", "monai", "nibabel", "onnx", "onnxruntime", "onnxscript", "pydicom", "skimage")


def absent() -> list[str]:
    """Those of :data:`NEEDED` that are not installed."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def require(what: str) -> None:
    """Check that the extra is installed; ``what`` is what cannot be used without it.

    Raises
    ------
    SourceError
        A package is not there.
    """
    missing = absent()
    if missing:
        raise SourceError(
            f"{what} cannot be used: of the extra imaging these packages are not installed: {', '.join(missing)}. "
            "Install it: pip install 'relapse[imaging]'"
        )
