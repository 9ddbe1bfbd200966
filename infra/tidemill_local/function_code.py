"""The functions' code: a zip of the first-party packages, the same bytes for the same sources.

Room: local platform; reads files, and imports the user's modules only in a separate process. Third-party packages are
not in the zip: locally they come from the environment that runs the emulator.
"""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill_local.neighbours import with_neighbours

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec

PACKAGES = ("tidemill", "tidemill_consumers")
"""The packages that every function needs."""

BUILT_IN = "tidemill_consumers.media"
"""The rules of this project's own application, which are not tried."""

TRIAL_SECONDS = 30
"""Seconds that the rules may take to load: a tenth of a second is usual."""

# `os._exit` ends the process at once: it does not wait for threads that the module has started. Its output is dropped.
_TRIAL = """
import importlib, os, sys, traceback
folder, name = sys.argv[1:]
sys.path.insert(0, folder)
from tidemill_consumers.core.calling.routing import problem_of
try:
    module = importlib.import_module(name)
    why = problem_of(module.RULES) if hasattr(module, "RULES") else "it has no RULES, a mapping of commands to rules"
    if why is None:
        os._exit(0)
except BaseException as error:
    own = [one for one in traceback.extract_tb(error.__traceback__) if one.filename.startswith(folder)]
    where = f" ({os.path.relpath(own[-1].filename, folder)}:{own[-1].lineno})" if own else ""
    why = f"{type(error).__name__}: {error}{where}"
sys.stderr.write(" ".join(why.split()))
sys.stderr.flush()
os._exit(1)
"""

_WHEN = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can state


class RulesNotFound(Exception):
    """The module of rules is not on Python's path, or has no rules that can be loaded."""


def tried(rules: str) -> bytes:
    """The zip, after its rules have been imported once as a trial.

    Raises:
        RulesNotFound: see `build` and `try_rules`.
    """
    code = build(rules)
    try_rules(rules, code)
    return code


def files_of(rules: str) -> dict[str, tuple[int, int]]:
    """The user's files that the rules depend on, each with its size and the time of its last change.

    Raises:
        RulesNotFound: there is no such module.
    """
    found = {}
    for _, path in _own_files(rules):
        with suppress(FileNotFoundError):  # an editor is about to replace it
            status = path.stat()
            found[str(path)] = status.st_size, status.st_mtime_ns
    return found


def build(rules: str) -> bytes:
    """Build the zip.

    Args:
        rules: the dotted name of the module of rules. When it is not within PACKAGES, its top-level package or
            module is included, from the current directory or Python's path, and so are the modules beside it that
            it imports.

    Raises:
        RulesNotFound: there is no such module.
    """
    _check_name(rules)
    files = dict(item for package in PACKAGES for item in _files(_installed(package)))
    top = rules.partition(".")[0]
    if top not in PACKAGES:
        files |= dict(_own_files(rules))
    stem = rules.replace(".", "/")
    if f"{stem}.py" not in files and f"{stem}/__init__.py" not in files:
        raise _not_found(rules)
    return _zip(files)


def try_rules(rules: str, code: bytes) -> None:
    """Import the module of rules once as the functions will, in a separate process.

    Args:
        rules: its dotted name.
        code: the zip of `build`.

    Raises:
        RulesNotFound: it cannot be imported, or has no mapping RULES.
    """
    if rules == BUILT_IN:
        return
    with tempfile.TemporaryDirectory(prefix="tidemill-rules-") as folder:
        zipfile.ZipFile(io.BytesIO(code)).extractall(folder)
        try:
            tried = subprocess.run(  # noqa: S603 # our own words
                [sys.executable, "-P", "-B", "-c", _TRIAL, folder, rules],
                cwd=folder,
                env=_environment(rules),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=TRIAL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RulesNotFound(f"the module {rules} is not loaded after {TRIAL_SECONDS} seconds") from None
    if tried.returncode:
        words = tried.stderr.decode(errors="replace").splitlines() or [f"Python ended with {tried.returncode}"]
        raise RulesNotFound(f"the module {rules} has no rules to run: {words[-1]}")


def _environment(rules: str) -> dict[str, str]:
    """The variables of a function's environment that a module may need to be imported."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "TIDEMILL_RULES": rules,
    }


def _installed(package: str) -> ModuleSpec:
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise RulesNotFound(f"the package {package} is not installed; install the project first: pip install -e .")
    return spec


def _users(rules: str) -> ModuleSpec:
    importlib.invalidate_caches()
    spec = PathFinder.find_spec(rules.partition(".")[0], [str(Path.cwd()), *sys.path])
    if spec is None:
        raise _not_found(rules)
    return spec


def _own_files(rules: str) -> Iterator[tuple[str, Path]]:
    """The files of the user's module and of the modules beside it that it needs."""
    for spec in with_neighbours(_users(rules), lambda spec: [path for _, path in _files(spec)]):
        if spec.name not in PACKAGES:
            yield from _files(spec)


def _check_name(rules: str) -> None:
    parts = rules.split(".")
    if rules.endswith(".py") or "/" in rules or "\\" in rules:
        path = Path(rules)
        name = ".".join(part for part in path.with_suffix("").parts if part not in ("..", path.anchor))
        where = f", from the folder {path.parent}" if path.is_absolute() or ".." in path.parts else ""
        name = path.stem if where else name
        raise RulesNotFound(f"the rules are named by their module, not by their file: --rules {name}{where}")
    if not all(part.isidentifier() for part in parts):
        raise RulesNotFound(f"{rules!r} is no name of a module, such as shop or shop.rules")


def _not_found(rules: str) -> RulesNotFound:
    return RulesNotFound(
        f"no module {rules}, neither in {Path.cwd()} nor where Python looks; "
        "run from the folder that holds it, or name that folder in PYTHONPATH"
    )


def _files(spec: ModuleSpec) -> Iterator[tuple[str, Path]]:
    """Each file's name in the zip, and its path."""
    if spec.submodule_search_locations is None:
        if spec.origin and spec.origin.endswith(".py"):
            yield Path(spec.origin).name, Path(spec.origin)
        return
    for location in spec.submodule_search_locations:
        root = Path(location)
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if name != "__pycache__" and not name.startswith(".")]
            for name in names:
                if not name.startswith(".") and not name.endswith(".pyc"):
                    path = Path(folder, name)
                    yield f"{spec.name}/{path.relative_to(root).as_posix()}", path


def _zip(files: dict[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _WHEN)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name].read_bytes())
    return buffer.getvalue()
