"""Building a Bento: service, library and bundle in one file that serves without this repository."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from relapse.bundle.load import verify_bundle
from relapse.bundle.manifest import Manifest
from relapse.bundle.validations import validations_file
from relapse.ground.errors import BundleError
from relapse.ground.files import write_atomic
from relapse.serving.example import example_file

#: Its three commands in one process: each would load the whole of BentoML anew.
_BUILD = """
import sys
import bentoml
name, version, exported, system = sys.argv[1:]
try:
    if f"{name}:{version}" in {str(bento.tag) for bento in bentoml.list()}:
        bentoml.delete(f"{name}:{version}")
    bentoml.export_bento(bentoml.bentos.build_bentofile(name=name, version=version, build_ctx=".").tag, exported)
except OSError as error:
    if error.errno is None:
        raise
    print(error.errno, error.filename2 or error.filename or "")
    sys.exit(int(system))
"""

#: How it ends where the system failed: sysexits.h's EX_IOERR.
_SYSTEM = 74


def build_bento(bundle: Path, *, out: Path, repository: Path) -> str:
    """Build a Bento from a bundle and export it.

    Parameters
    ----------
    bundle
        A complete bundle.
    out
        The file to write, ending in ``.bento``.
    repository
        Holds ``bento/service.py``; BentoML's store is ``.cache/bentoml`` in it, unless ``BENTOML_HOME`` is set.

    Returns
    -------
    The Bento's tag, ``relapse_<cohort>:<first 12 characters of the content hash>``. Building it again replaces it.

    Raises
    ------
    BundleError
        The bundle is not as it was written, or BentoML could not build it; the message ends with what BentoML said.
    OSError
        The system could not do it: a full disk, a folder that may not be written into.
    """
    manifest = verify_bundle(bundle)
    name, number = f"relapse_{manifest.cohort}", manifest.content_hash[:12]
    tag = f"{name}:{number}"
    home = Path(os.environ.get("BENTOML_HOME") or repository / ".cache" / "bentoml").resolve()
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="relapse-bento-") as scratch:
        staging, exported = Path(scratch) / "staging", Path(scratch) / "exported.bento"
        _stage(staging, bundle=bundle, service=repository / "bento" / "service.py", manifest=manifest)
        _bentoml(name, number, exported, home=home, folder=staging)
        write_atomic(out, lambda temporary: shutil.copyfile(exported, temporary))
    return tag


def _stage(staging: Path, *, bundle: Path, service: Path, manifest: Manifest) -> None:
    """Put together what the Bento holds, and BentoML's description of it."""
    import relapse

    library = Path(relapse.__file__).parent
    shutil.copytree(library, staging / "relapse", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(bundle, staging / "bundle")
    if validations_file(bundle).is_file():
        shutil.copyfile(validations_file(bundle), validations_file(staging / "bundle"))
    if example_file(bundle).is_file():
        shutil.copyfile(example_file(bundle), example_file(staging / "bundle"))
    shutil.copyfile(service, staging / "service.py")
    # BentoML adds itself, with its version.
    packages = "\n".join(f"    - {name}=={version}" for name, version in manifest.packages.items())
    (staging / "bentofile.yaml").write_text(
        "service: service:RelapseService\n"
        f"description: 'Model {manifest.name}, version {manifest.version}: {manifest.candidate}.'\n"
        f"labels: {{cohort: {manifest.cohort}, candidate: {manifest.candidate}}}\n"
        "include: ['*']\n"
        "envs:\n"
        "  - {name: BENTOML_DO_NOT_TRACK, value: 'True'}\n"
        "docker: {distro: debian, python_version: '3.11'}\n"
        "python:\n"
        # Locking would ask a package registry; the versions are exact as they are.
        "  lock_packages: false\n"
        f"  packages:\n{packages}\n",
        encoding="utf-8",
    )


def _bentoml(name: str, number: str, exported: Path, *, home: Path, folder: Path) -> None:
    """Have BentoML build in a process of its own, which imports the staged service and nothing else of the library."""
    environment = {key: value for key, value in os.environ.items() if key not in ("RELAPSE_BUNDLE", "PYTHONPATH")}
    # BentoML installs uv with pip where it is not on the path.
    environment["PATH"] = os.pathsep.join([str(Path(sys.prefix) / "bin"), environment.get("PATH", os.defpath)])
    environment |= {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, name, number, str(exported), str(_SYSTEM)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode == _SYSTEM:
        code, _, path = done.stdout.rstrip("\n").splitlines()[-1].partition(" ")
        raise OSError(int(code), os.strerror(int(code)), path or str(home))
    if done.returncode:
        raise BundleError(f"BentoML could not build {name}:{number}:\n{done.stdout.strip()[-2000:]}")
