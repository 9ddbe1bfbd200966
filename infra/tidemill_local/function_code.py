"""The functions' code: a zip of the first-party packages, the same bytes for the same sources.

Room: local platform; reads files, and imports the user's in a process of their own only. Third-party packages are
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
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec

PACKAGES = ("tidemill", "tidemill_consumers")
"""What every function needs."""

BUILT_IN = "tidemill_consumers.rules"
"""The rules of this project's own application, which need no trial."""

TRIAL_SECONDS = 30
"""How long the rules may take to load: a tenth of a second is usual."""

# Ends at once either way: threads that the module has started are not waited for. What it prints is not told.
_TRIAL = """
import importlib, os, sys
from collections.abc import Mapping
folder, name = sys.argv[1:]
sys.path.insert(0, folder)
try:
    module = importlib.import_module(name)
    if not hasattr(module, "RULES"):
        why = "it has no RULES, a mapping of commands to rules"
    elif not isinstance(module.RULES, Mapping):
        why = f"its RULES is no mapping of commands to rules, but a {type(module.RULES).__name__}"
    else:
        os._exit(0)
except BaseException as error:
    why = f"{type(error).__name__}: {error}"
sys.stderr.write(" ".join(why.split()))
sys.stderr.flush()
os._exit(1)
"""

_WHEN = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say


class RulesNotFound(Exception):
    """The module of rules is not where Python looks, or has no rules that can be had."""


def build(rules: str) -> bytes:
    """The zip.

    Args:
        rules: the dotted name of the module of rules. When it is not within the packages above, its top-level
            package or module comes along, from the current directory or where Python looks.

    Raises:
        RulesNotFound: there is no such module.
    """
    files = dict(item for package in PACKAGES for item in _files(_installed(package)))
    top = rules.partition(".")[0]
    if top not in PACKAGES:
        files |= dict(_files(_users(rules)))
    stem = rules.replace(".", "/")
    if f"{stem}.py" not in files and f"{stem}/__init__.py" not in files:
        raise _not_found(rules)
    return _zip(files)


def try_rules(rules: str, code: bytes) -> None:
    """Import the module of rules once as the functions will, in a process of its own.

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
    """Of a function's, what a module may need to be imported."""
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


def _not_found(rules: str) -> RulesNotFound:
    return RulesNotFound(
        f"no module {rules}, neither in {Path.cwd()} nor where Python looks; "
        "run from the folder that holds it, or name that folder in PYTHONPATH"
    )


def _files(spec: ModuleSpec) -> Iterator[tuple[str, Path]]:
    """Each file's name in the zip, and where it is."""
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
