"""Reading a YAML file into a typed model, with an error that names file, key, value and what is allowed."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from relapse.ground.errors import DeclarationError

Model = TypeVar("Model", bound=BaseModel)


class Declared(BaseModel):
    """Base of everything read from YAML: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML 1.2 mapping (so that ``no`` is the word *no*, not false).

    Raises
    ------
    DeclarationError
        No such file, not YAML, a key given twice, or not a mapping.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if not path.is_file():
        raise DeclarationError(f"{path}: no such file.")
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise DeclarationError(f"{path}: not readable as YAML.\n{error}") from None
    if not isinstance(content, dict):
        raise DeclarationError(f"{path}: expected keys and values (key: value), found {_kind(content)}.")
    return content


def parse(model: type[Model], content: dict[str, Any], *, origin: Path) -> Model:
    """Validate ``content`` against ``model``; every complaint is listed, one a line."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise DeclarationError(describe(error, origin=origin)) from None


def describe(error: ValidationError, *, origin: Path) -> str:
    """Say each complaint of pydantic as: file: key: what was found, what is allowed."""
    lines = []
    for item in error.errors(include_url=False):
        key = ".".join(str(part) for part in item["loc"]) or "(the whole file)"
        message = item["msg"].removeprefix("Value error, ")
        match item["type"]:
            case "extra_forbidden":
                lines.append(f"{origin}: {key}: unknown key. Remove it, or look for a spelling mistake.")
            case "missing":
                lines.append(f"{origin}: {key}: this key is required and missing.")
            case "value_error":
                lines.append(f"{origin}: {key}: {message}")
            case _:
                lines.append(f"{origin}: {key}: {message}, found {item['input']!r}.")
    return "\n".join(lines)


def _kind(content: object) -> str:
    return "an empty file" if content is None else f"a {type(content).__name__}"
