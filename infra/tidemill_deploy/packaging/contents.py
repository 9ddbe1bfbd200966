"""What goes into a function's package: which files of an installed package, and what may not stand beside what.

Room: packaging, pure: names in, names out.
"""

from __future__ import annotations

import sys
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from tidemill_deploy.packaging.errors import PackagingError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_File = TypeVar("_File")

_OF_AN_INSTALLER = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}
"""Files of a *.dist-info that depend on who installed it, from where, and when."""

_SCRIPTS = {"bin", "Scripts", "share"}
"""Folders of commands and their manuals: nobody calls them in a function."""


def is_needed(name: str) -> bool:
    """Whether a file of an installed package belongs into a function's package.

    Args:
        name: the path below the folder of installed packages, with slashes.
    """
    path = PurePosixPath(name)
    top = path.parts[0]
    if top in {"..", *_SCRIPTS} or path.is_absolute():
        return False
    if "__pycache__" in path.parts or path.suffix in {".pyc", ".pth"} or top.startswith("."):
        return False
    return not (top.endswith(".dist-info") and path.name in _OF_AN_INSTALLER)


def without_models(files: Mapping[str, _File], services: Collection[str]) -> dict[str, _File]:
    """The files without botocore's descriptions of services other than those given."""
    return {name: file for name, file in files.items() if _service(name) in (None, *services)}


def _service(name: str) -> str | None:
    """The service that a file of botocore's describes, in a folder for each version; None of other files."""
    parts = PurePosixPath(name).parts
    return parts[2] if parts[:2] == ("botocore", "data") and len(parts) > 3 else None


def together(
    third_party: Mapping[str, _File], own: Mapping[str, _File], application: Mapping[str, _File]
) -> dict[str, _File]:
    """All files of a package.

    Args:
        third_party: the installed packages' files, by name.
        own: this project's.
        application: the user's.

    Raises:
        PackagingError: a module of the user's would take the place of a package's, or of Python's own; or a file's name
            is not text.
    """
    if nameless := [ascii(name) for name in application if name.encode(errors="replace").decode() != name]:
        raise PackagingError(f"the rules bring {', '.join(nameless)}, whose name is not UTF-8; rename it")
    taken = {name for name in _tops(third_party) | _tops(own) if not name.endswith((".dist-info", ".data"))}
    if shadowing := sorted(_tops(application) & taken):
        raise PackagingError(
            f"the rules bring {', '.join(shadowing)}, and what the functions need has that name, too; rename yours"
        )
    if shadowing := sorted(_modules(application) & sys.stdlib_module_names):
        raise PackagingError(f"the rules bring a module {', '.join(shadowing)}, which is Python's own; rename yours")
    return {**third_party, **own, **application}


def _tops(names: Iterable[str]) -> set[str]:
    """What stands at the top, modules without their suffix."""
    return {name.partition("/")[0].removesuffix(".py") for name in names}


def _modules(names: Iterable[str]) -> set[str]:
    """The modules and packages that are found before Python's own; a folder without `__init__.py` is not."""
    found = {name.removesuffix(".py") for name in names if name.endswith(".py") and "/" not in name}
    return found | {name.partition("/")[0] for name in names if name.endswith("/__init__.py") and name.count("/") == 1}
