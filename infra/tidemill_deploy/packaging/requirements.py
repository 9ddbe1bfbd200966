"""The requirements.txt of an application: what its rules require beside what the functions have.

Room: packaging, I/O: reads files. Tests: tests/infra/tidemill_deploy/packaging/test_installed.py.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from tidemill_deploy.packaging.errors import PackagingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROJECT = "tidemill"
"""Left out of what rules require: each package has it, as it is here."""

_FURTHER = re.compile(r"-r\s*|--requirement(?:\s+|\s*=\s*)")
"""How a line begins that names a further file."""

AWS = {"boto3", "botocore"}


def want_all_of_aws(file: Path | None) -> bool:
    """Whether the requirements name AWS's SDK: then the rules may need any of its services."""
    return file is not None and any(canonicalize_name(one.name) in AWS for one in read(file))


def read(file: Path) -> Iterator[Requirement]:
    """The requirements of a requirements.txt that hold for this machine; `-r` names a further one.

    https://pip.pypa.io/en/stable/reference/requirements-file-format/

    Raises:
        PackagingError: a file cannot be read, or names itself; or a line is no requirement.
    """
    return _read(file, ())


def _read(file: Path, by: tuple[Path, ...]) -> Iterator[Requirement]:
    if file.resolve() in by:
        raise PackagingError(f"{file} names itself by -r")
    for line in _text(file).replace("\\\n", " ").splitlines():
        text = line.partition(" #")[0].strip()
        if named := _FURTHER.match(text):
            yield from _read(file.parent / text[named.end() :], (*by, file.resolve()))
        if text and not text.startswith(("#", "-")):
            yield from _parsed(text.partition(" --")[0], file)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PackagingError(f"{file} cannot be read: {getattr(error, 'strerror', error)}") from None


def _parsed(text: str, file: Path) -> Iterator[Requirement]:
    try:
        one = Requirement(text)
    except InvalidRequirement as error:
        raise PackagingError(f"{file} has {text!r}: {error.args[0].splitlines()[0]}") from None
    if canonicalize_name(one.name) != PROJECT and (one.marker is None or one.marker.evaluate()):
        yield one
