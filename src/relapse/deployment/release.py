"""A release: a Bento unpacked to be served, with its verified bundle and known example."""

import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from relapse.bundle.load import describe_bundle
from relapse.bundle.manifest import MANIFEST
from relapse.ground.errors import BundleError, DeploymentError
from relapse.ground.files import sha256_of_file
from relapse.serving.example import Example, read_example
from relapse.serving.guard import largest_body


@dataclass(frozen=True, slots=True)
class Release:
    """What is served from ``folder``.

    ``manifest`` is the SHA-256 of the bundle's manifest; ``largest`` bytes a JSON body may have.
    """

    folder: Path
    cohort: str
    version: str
    manifest: str
    largest: int
    example: Example

    @property
    def name(self) -> str:
        """What records call it."""
        return f"relapse-{self.cohort} {self.version} ({self.manifest[:12]})"


def unpack(bento: Path, releases: Path) -> Release:
    """Unpack a Bento into a folder of its own below ``releases``; one that is there already is looked at anew.

    Raises
    ------
    DeploymentError
        It is no Bento, or holds no bundle with a known example.
    BundleError
        The bundle is not as it was written.
    """
    if not bento.is_file():
        raise DeploymentError(f"{bento}: no such file. `dvc repro package@<cohort>` builds the Bento of the champion.")
    target = releases / sha256_of_file(bento)[:16]
    if not target.is_dir():
        releases.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=releases, prefix=".") as scratch:
            try:
                with tarfile.open(bento) as archive:
                    archive.extractall(Path(scratch) / "new", filter="data")
            except (tarfile.TarError, OSError, EOFError) as error:
                raise DeploymentError(
                    f"{bento}: cannot be unpacked ({type(error).__name__}). Build it again."
                ) from None
            shutil.move(Path(scratch) / "new", target)
    return opened(target)


def opened(folder: Path) -> Release:
    """The release in a folder, its bundle verified."""
    bundle = folder / "src" / "bundle"
    try:
        found, example = describe_bundle(bundle), read_example(bundle)
    except BundleError as error:
        raise DeploymentError(f"{folder.name}: {error}") from None
    return Release(
        folder,
        found.manifest.cohort,
        found.manifest.version,
        sha256_of_file(bundle / MANIFEST),
        largest_body(found.cohort),
        example,
    )
