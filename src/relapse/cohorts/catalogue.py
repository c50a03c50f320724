"""Finding, reading and writing cohort declarations."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from relapse.cohorts.schema import Cohort
from relapse.ground.declarations import parse, read_yaml
from relapse.ground.errors import DeclarationError

#: What stands in a declaration in the place of an answer that is still to be given.
TODO = "TODO"

#: Mappings that an extending declaration adds to, by key; of all others it gives the whole.
_MERGED = ("features", "blocks", "sources", "tripod")


def read_cohort(path: Path) -> Cohort:
    """Read one declaration, and those that it extends.

    Raises
    ------
    DeclarationError
        With file, key, value and what is allowed; also when the file's name is not the cohort's name.
    """
    content = _content(path)
    if waiting := sorted(unanswered(content)):
        raise DeclarationError(
            "\n".join(f"{path}: {key}: still TODO." for key in waiting)
            + "\nThe comment beside it says what is asked: put the answer in the place of the word TODO."
        )
    cohort = parse(Cohort, content, origin=path)
    if cohort.name != path.stem and path.stem != "cohort":
        raise DeclarationError(
            f"{path}: name: the cohort is called {cohort.name!r}, so its file is {cohort.name}.yaml."
        )
    return cohort


def files_of(path: Path) -> list[Path]:
    """The file of a declaration that can be read, and those that it extends, one after the other."""
    found = [path]
    while name := read_yaml(found[-1]).get("extends"):
        found.append(path.parent / f"{name}.yaml")
    return found


def to_yaml(cohort: Cohort) -> str:
    """A resolved cohort as the text of a declaration that says all of it: nothing is extended, no column is unnamed."""
    from ruamel.yaml import YAML

    content = cohort.model_dump(mode="json", exclude_unset=True, by_alias=True)
    if cohort.survival:
        content["endpoint"]["horizons"] = [horizon.label for horizon in cohort.survival.horizons]
    for source in content.get("sources", {}).values():
        source.update(source.pop("source"))
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.width = 120
    yaml.representer.sort_base_mapping_type_on_output = False
    text = io.StringIO()
    yaml.dump(content, text)
    return text.getvalue()


def unanswered(content: Any, above: str = "") -> list[str]:
    """The keys whose value is the word TODO, as ``relapse cohort new`` writes it where only a person knows."""
    if isinstance(content, dict):
        items = [(f"{above}.{key}" if above else str(key), item) for key, item in content.items()]
    elif isinstance(content, list):
        items = [(above, item) for item in content]
    else:
        return [above] if content == TODO else []
    return list(dict.fromkeys(key for name, item in items for key in unanswered(item, name)))


def _content(path: Path, below: Sequence[Path] = ()) -> dict[str, Any]:
    """The content of a declaration, laid over that of the one it extends."""
    content = read_yaml(path)
    if "extends" not in content:
        return content
    name = content.pop("extends")
    base = path.parent / f"{name}.yaml"
    if base in (*below, path):
        chain = " extends ".join(item.stem for item in (*below, path, base))
        raise DeclarationError(f"{path}: extends: {chain}: a circle. Let one of them stand alone.")
    if not isinstance(name, str) or not base.is_file():
        there = ", ".join(sorted(item.stem for item in path.parent.glob("*.yaml") if item != path))
        raise DeclarationError(f"{path}: extends: no cohort {name!r} stands beside it. There are: {there or 'none'}.")
    return _laid_over(_content(base, (*below, path)), content)


def _laid_over(base: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    whole = base | given
    for one, other in (("source", "sources"), ("sources", "source")):
        if one in given and other not in given:
            whole.pop(other, None)
    for key in _MERGED:
        before, now = base.get(key), given.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            merged = before | now
            whole[key] = {name: item for name, item in merged.items() if item is not None}
    before, now = base.get("exclusions"), given.get("exclusions")
    if isinstance(before, list) and isinstance(now, list):
        anew = {item.get("column") for item in now if isinstance(item, dict)}
        whole["exclusions"] = [item for item in before if item.get("column") not in anew] + now
    return whole
