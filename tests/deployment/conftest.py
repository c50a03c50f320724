"""Real Bentos of small bundles: one that is served, one that may take over, and broken ones."""

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from relapse.serving.bento import build_bento
from relapse.serving.example import example_file, write_example
from tests.bundle.making import ROOT, small_bundle

COHORT = "wpbc"


def built(bundle: Path, out: Path, store: Path) -> Path:
    """The Bento of a bundle, with its known example."""
    write_example(bundle)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(store))
        build_bento(bundle, out=out, repository=ROOT)
    return out


def rewritten(bento: Path, out: Path, change: Callable[[Path], None]) -> Path:
    """A copy of a Bento whose unpacked folder was changed."""
    folder = out.with_suffix(".folder")
    with tarfile.open(bento) as archive:
        archive.extractall(folder, filter="data")
    change(folder)
    with tarfile.open(out, "w:gz") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, arcname=path.name)
    shutil.rmtree(folder)
    return out


def other_answer(folder: Path) -> None:
    """The known example says otherwise, as it does where a model file was mixed up."""
    path = example_file(folder / "src" / "bundle")
    content = json.loads(path.read_text())
    content["risks"] = [risk / 2 for risk in content["risks"]]
    path.write_text(json.dumps(content))


def fails_for(text: str) -> Callable[[Path], None]:
    """The service passes every smoke test, and raises for some real patients."""

    def change(folder: Path) -> None:
        service = folder / "src" / "service.py"
        code = service.read_text()
        broken = code.replace(
            '        """The risk of one patient."""\n',
            f'        """The risk of one patient."""\n        if {text}:\n            raise RuntimeError\n',
        )
        assert broken != code
        service.write_text(broken)

    return change


@pytest.fixture(scope="session")
def bentos(tmp_path_factory, cohorts, _tables) -> dict[str, Path]:
    """Bentos by name: ``old`` and ``new`` are whole, ``mixed`` answers otherwise than recorded, ``ill`` fails some."""
    folder, store = tmp_path_factory.mktemp("bentos"), tmp_path_factory.mktemp("store")
    found = {}
    for name, candidate in (("old", "reference"), ("new", "linear")):
        small_bundle(folder / name / "bundle", cohorts[COHORT], _tables[COHORT], candidate)
        found[name] = built(folder / name / "bundle", folder / f"{name}.bento", store)
    found["mixed"] = rewritten(found["new"], folder / "mixed.bento", other_answer)
    found["ill"] = rewritten(found["new"], folder / "ill.bento", fails_for("patient.pnodes == 7"))
    return found
