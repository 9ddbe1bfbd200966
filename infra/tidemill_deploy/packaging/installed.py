"""Third-party packages for this machine: those that are installed here, without a network.

Room: packaging, I/O: reads what Python's packages say of themselves (importlib.metadata).
"""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tidemill_deploy.packaging.contents import is_needed
from tidemill_deploy.packaging.errors import PackagingError
from tidemill_deploy.packaging.requirements import PROJECT, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def installed(extra: str, requirements: Path | None) -> dict[str, Path]:
    """What a function needs, as it is installed here.

    Args:
        extra: the extra of this project that the function needs.
        requirements: what the rules require besides.

    Returns:
        The files that belong into the function's package, by their name there.

    Raises:
        PackagingError: a package is not installed here, or not in the version that is asked for.
    """
    wanted = list(_required(distribution(PROJECT), {extra}))
    if requirements:
        wanted += read(requirements)
    return {name: path for found in _closure(wanted, requirements) for name, path in _files(found)}


def _closure(wanted: Iterable[Requirement], requirements: Path | None) -> Iterator[Distribution]:
    """The installed distributions that satisfy some requirements, and theirs."""
    waiting, seen = list(wanted), set[tuple[str, frozenset[str]]]()
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        if name == PROJECT or (name, frozenset(one.extras)) in seen:
            continue
        is_new = not any(name == known for known, _ in seen)
        seen.add((name, frozenset(one.extras)))
        found = _found(one, requirements)
        waiting += _required(found, one.extras)
        if is_new:
            yield found


def _found(requirement: Requirement, requirements: Path | None) -> Distribution:
    where = f"; what {requirements} asks for is installed by: pip install -r {requirements}" if requirements else ""
    try:
        found = distribution(requirement.name)
    except PackageNotFoundError:
        raise PackagingError(f"the functions need {requirement}, which is not installed here{where}") from None
    if not requirement.specifier.contains(found.version, prereleases=True):
        raise PackagingError(f"the functions need {requirement}, and {found.version} is installed here{where}")
    return found


def _required(found: Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    """What a distribution requires on this machine, with some of its extras."""
    for text in found.requires or ():
        one = Requirement(text)
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield one


def _files(found: Distribution) -> Iterator[tuple[str, Path]]:
    if found.files is None:
        raise PackagingError(f"{found.name} is installed without a list of its files: install it with pip or uv")
    for file in found.files:
        if is_needed(file.as_posix()):
            yield file.as_posix(), Path(str(found.locate_file(file)))
