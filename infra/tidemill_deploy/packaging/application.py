"""The user's part of a function's package: the files of the rules, and what these require.

Room: packaging, I/O: reads files, and runs none of the user's code.

The rules are named by their module, which is looked for in the current directory and on Python's path: then the files
are those of its top-level package or module, and of the modules beside it that it imports. Or they are named by a
folder: then all of its files are taken, and its one module that assigns RULES has the rules. A requirements.txt beside
the top-level modules says what these require.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill_deploy.packaging.errors import PackagingError, RulesNotFound
from tidemill_deploy.packaging.functions import PACKAGES
from tidemill_deploy.packaging.neighbours import folder_of, with_neighbours

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.machinery import ModuleSpec

BUILT_IN = "tidemill_consumers.media"
"""The rules of this project's own application."""

REQUIREMENTS = "requirements.txt"


@dataclass(frozen=True, slots=True)
class Application:
    """The user's part of a package.

    Attributes:
        rules: the dotted name of the module of rules, for the template's parameter Rules.
        files: name in the package -> file.
        requirements: the file that says what they require, if there is one.
    """

    rules: str
    files: Mapping[str, Path]
    requirements: Path | None = None


def find(rules: str) -> Application:
    """The application whose rules are a module, or in a folder.

    Args:
        rules: the module's dotted name, or the folder's path.

    Raises:
        RulesNotFound: there is no such module, or not one module with rules in the folder.
        PackagingError: a link among the files leads to a folder that it lies in.
    """
    if _is_folder(rules):
        return _in_folder(Path(rules))
    _check_name(rules)
    if rules.partition(".")[0] in PACKAGES:
        _check_found(rules, own_files())
        return Application(rules, {})
    spec = _users(rules)
    files = dict(_own_files(spec))
    _check_found(rules, files)
    return Application(rules, files, _requirements(folder_of(spec)))


def files_of(rules: str) -> dict[str, tuple[int, int]]:
    """The user's files that a module of rules depends on, each with its size and the time of its last change.

    Raises:
        RulesNotFound: there is no such module.
        PackagingError: a link among the files leads to a folder that it lies in.
    """
    found = {}
    for _, path in _own_files(_users(rules)):
        with suppress(FileNotFoundError):  # an editor is about to replace it
            status = path.stat()
            found[str(path)] = status.st_size, status.st_mtime_ns
    return found


def own_files() -> dict[str, Path]:
    """This project's files in a package, by their name there."""
    return dict(item for package in PACKAGES for item in _files(_installed(package)))


def _is_folder(rules: str) -> bool:
    """Whether a folder is named, and not the package of that name in the current directory."""
    path = Path(rules)
    return bool(rules) and path.is_dir() and not (rules.isidentifier() and (path / "__init__.py").exists())


def _in_folder(folder: Path) -> Application:
    if (folder / "__init__.py").exists():
        raise RulesNotFound(f"{folder} is a package: name the folder that holds it, {folder.absolute().parent}")
    files = dict(_below(folder, ""))
    files.pop(REQUIREMENTS, None)
    modules = sorted(name for name, path in files.items() if name.endswith(".py") and _assigns_rules(path))
    found = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in modules]
    if len(found) != 1:
        there = f"the modules {', '.join(found)} do: name one, from within the folder" if found else "none does"
        raise RulesNotFound(f"one module in the folder {folder} must assign RULES; {there}")
    return Application(found[0], files, _requirements(folder))


def _assigns_rules(path: Path) -> bool:
    try:
        statements = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError, RecursionError):
        return False  # the trial reports it, should the rules import it
    assigned = [
        target
        for statement in statements
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
    ]
    return any(isinstance(target, ast.Name) and target.id == "RULES" for target in assigned)


def _requirements(folder: Path | None) -> Path | None:
    file = folder / REQUIREMENTS if folder else None
    return file if file and file.is_file() else None


def _installed(package: str) -> ModuleSpec:
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise PackagingError(f"the package {package} is not installed; install the project first: pip install -e .")
    return spec


def _users(rules: str) -> ModuleSpec:
    importlib.invalidate_caches()
    spec = PathFinder.find_spec(rules.partition(".")[0], [str(Path.cwd()), *sys.path])
    if spec is None:
        raise _not_found(rules)
    return spec


def _own_files(spec: ModuleSpec) -> Iterator[tuple[str, Path]]:
    """The files of the user's module and of the modules beside it that it needs."""
    for one in with_neighbours(spec, lambda spec: [path for _, path in _files(spec)]):
        if one.name not in PACKAGES:
            yield from _files(one)


def _check_name(rules: str) -> None:
    parts = rules.split(".")
    if rules.endswith(".py") or "/" in rules or "\\" in rules:
        path = Path(rules)
        if "/" in rules and not path.with_suffix(".py").exists() and not path.suffix:
            raise RulesNotFound(f"there is no folder {rules}, seen from {Path.cwd()}")
        name = ".".join(part for part in path.with_suffix("").parts if part not in ("..", path.anchor))
        where = f", from the folder {path.parent}" if path.is_absolute() or ".." in path.parts else ""
        name = path.stem if where else name
        raise RulesNotFound(f"the rules are named by their module, not by their file: --rules {name}{where}")
    if not all(part.isidentifier() for part in parts):
        raise RulesNotFound(f"{rules!r} is no name of a module, such as shop or shop.rules")


def _check_found(rules: str, files: Mapping[str, Path]) -> None:
    stem = rules.replace(".", "/")
    if f"{stem}.py" not in files and f"{stem}/__init__.py" not in files:
        raise _not_found(rules)


def _not_found(rules: str) -> RulesNotFound:
    return RulesNotFound(
        f"no module {rules}, neither in {Path.cwd()} nor where Python looks; "
        "run from the folder that holds it, or name that folder in PYTHONPATH"
    )


def _files(spec: ModuleSpec) -> Iterator[tuple[str, Path]]:
    """Each file's name in the package, and its path."""
    if spec.submodule_search_locations is None:
        if spec.origin and spec.origin.endswith(".py"):
            yield Path(spec.origin).name, Path(spec.origin)
        return
    for location in spec.submodule_search_locations:
        yield from _below(Path(location), f"{spec.name}/")


def _below(root: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    """The files below a folder and the folders that it links to, but hidden and compiled ones, and those of virtual
    environments.

    Raises:
        PackagingError: a link leads to a folder that it lies in.
    """
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = [
            name
            for name in folders
            if name != "__pycache__" and not name.startswith(".") and not Path(folder, name, "pyvenv.cfg").exists()
        ]
        for name in folders:
            _check_end(Path(folder, name))
        for name in names:
            if not name.startswith(".") and not name.endswith(".pyc"):
                path = Path(folder, name)
                if path.is_file() or not path.exists():  # no pipe, which would be read for ever
                    yield f"{prefix}{path.relative_to(root).as_posix()}", path


def _check_end(folder: Path) -> None:
    if folder.is_symlink() and folder.resolve() in {one.resolve() for one in folder.absolute().parents}:
        raise PackagingError(f"{folder} is a link to {folder.readlink()}, a folder that it lies in; remove the link")
