"""Stage *library*: the digest of every file of the library that training imports, as one file."""

from pathlib import Path

from relapse.ground.console import say, stage
from relapse.ground.declarations import read_yaml
from relapse.ground.files import sha256_of_file, write_json
from relapse.ground.workspace import TRAINING_LIBRARY


def main() -> None:
    """Write the digests of what dvc.yaml names as this stage's dependencies."""
    named = [Path(name) for name in read_yaml(Path("dvc.yaml"))["stages"]["library"]["deps"]]
    files = [file for path in named for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    write_json(TRAINING_LIBRARY, {file.as_posix(): sha256_of_file(file) for file in files})
    say(f"{len(files)} files that training imports")


if __name__ == "__main__":
    stage(main)
