"""Finds the modules that a user's module imports from its own folder, by import statements: no code is run.

Room: packaging, I/O: reads files.
Tests: tests/infra/tidemill_deploy/packaging/test_application.py.
"""

from __future__ import annotations

import ast
import sys
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from importlib.machinery import ModuleSpec

INSTALLED = ("site-packages", "dist-packages")
"""Folders of installed packages, which a function finds on its path."""


def with_neighbours(spec: ModuleSpec, files: Callable[[ModuleSpec], Iterable[Path]]) -> list[ModuleSpec]:
    """The top-level module or package, and each one beside it that it imports, directly or indirectly.

    Args:
        spec: the user's module.
        files: gives the files of a module.
    """
    folder = folder_of(spec)
    found = {spec.name: spec}
    waiting = [spec]
    while waiting and folder is not None:
        for name in sorted({name for path in files(waiting.pop()) for name in _imports(path)} - found.keys()):
            if beside := _beside(name, folder):
                found[name] = beside
                waiting.append(beside)
    return list(found.values())


def folder_of(spec: ModuleSpec) -> Path | None:
    """The folder that holds the module; None if the module is an installed one."""
    place = next(iter(spec.submodule_search_locations or ()), spec.origin)
    folder = Path(place).resolve().parent if place else None
    return None if folder is None or set(INSTALLED) & set(folder.parts) else folder


def _beside(name: str, folder: Path) -> ModuleSpec | None:
    """The module of that name, if Python would take it from the folder."""
    if name in sys.stdlib_module_names:
        return None
    spec = PathFinder.find_spec(name, [str(folder), *sys.path])
    return spec if spec is not None and folder_of(spec) == folder else None


def _imports(path: Path) -> frozenset[str]:
    if path.suffix != ".py":
        return frozenset()
    try:
        status = path.stat()
        return _parsed(path, status.st_mtime_ns, status.st_size)
    except (OSError, SyntaxError, ValueError, RecursionError):  # the trial will report the error
        return frozenset()


@lru_cache(maxsize=1024)
def _parsed(path: Path, _changed: int, _size: int) -> frozenset[str]:
    """The top-level names that a file imports, cached while the file does not change."""
    return frozenset(_names(ast.parse(path.read_bytes())))


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
