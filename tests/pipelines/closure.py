"""Which modules of the library a script imports, directly and through others, now or later."""

import ast
from pathlib import Path


def imported_modules(path: Path) -> set[str]:
    """Every ``relapse…`` name that the file at ``path`` imports anywhere, except for type checking only."""
    names: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for statement in branch.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name == "relapse" or name.startswith("relapse.")}


def closure(start: list[Path], *, src: Path) -> set[Path]:
    """All files of the library that ``start`` reaches, as paths; the packages' ``__init__`` files among them."""
    found: set[Path] = set()
    waiting = list(start)
    while waiting:
        path = waiting.pop()
        for name in imported_modules(path):
            for module in _files(name, src=src):
                if module not in found:
                    found.add(module)
                    waiting.append(module)
    return found


def _files(name: str, *, src: Path) -> list[Path]:
    parts = name.split(".")
    files = [src.joinpath(*parts[:end], "__init__.py") for end in range(1, len(parts) + 1)]
    files.append(src.joinpath(*parts[:-1], f"{parts[-1]}.py"))
    return [file for file in files if file.is_file()]
