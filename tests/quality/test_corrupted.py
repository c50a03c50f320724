"""`relapse check` on some hundred broken tables: each gets a message with cause, place and remedy, and nothing else happens."""

import re
from pathlib import Path

import pytest

from relapse.commands.app import app
from relapse.ground.console import readable_errors

from .corrupted import DECLARATION, MARK, NUMBER, PATIENTS, TWO, Variant, csv, good, variants

VARIANTS = variants()


def _checked(files: dict[str, bytes], folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Write the files, run the command as a person does, in this process; give its exit status."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    monkeypatch.chdir(folder)
    try:
        with readable_errors():
            app(["check", "fjord.yaml"], standalone_mode=False)
    except SystemExit as status:
        return int(status.code or 0)
    return 0


def test_the_good_table_passes_without_a_finding_but_on_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"fjord.yaml": DECLARATION.encode(), "fjord.csv": csv(good())}
    assert _checked(files, tmp_path, monkeypatch) == 0
    said = capsys.readouterr().out
    assert f"{PATIENTS + TWO} rows of {PATIENTS} patients" in said
    # Some two hundred patients are few, which is no fault of the table.
    assert {line.split()[1] for line in said.splitlines() if "warning" in line} <= {"O004", "O006"}


def test_there_are_eighty_variants_at_least() -> None:
    assert len(VARIANTS) >= 80


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(
            variant,
            id=variant.name,
        )
        for variant in VARIANTS
    ],
)
def test_a_corrupted_table_gets_cause_place_and_remedy(
    variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status = _checked(variant.files, tmp_path, monkeypatch)
    captured = capsys.readouterr()
    said = captured.out + captured.err
    assert (status > 0) == variant.stops, said
    for word in variant.words:
        assert re.search(word, said, flags=re.IGNORECASE), f"{word!r} is not said:\n{said}"
    assert "Traceback" not in said
    assert not re.search(rf"FJ[- ]?\d{{4}}|{MARK}|{int(NUMBER)}", said, flags=re.IGNORECASE), said
    sizes = {f"{value:.2f}" for value in good()["diam"]}
    assert not sizes & set(re.findall(r"\d+\.\d+", said)), said
    assert {path.name for path in tmp_path.iterdir()} == set(variant.files)
