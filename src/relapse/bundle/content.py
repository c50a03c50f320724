"""What stands in a bundle's file, or one message where it is not what was written."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from relapse.ground.errors import BundleError

Content = TypeVar("Content")


def read_content(path: Path, validate: Callable[[bytes], Content]) -> Content:
    """What ``validate``, one of pydantic's, makes of a file's bytes.

    Raises
    ------
    BundleError
        It refuses them.
    """
    try:
        return validate(path.read_bytes())
    except ValidationError as error:
        raise BundleError(f"{path}: not as expected ({error.error_count()} faults). Write the bundle again.") from None
