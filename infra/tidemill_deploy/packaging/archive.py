"""A function's package: the bytes of a zip, the same for the same files, and its sizes.

Room: packaging, pure.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill_deploy.packaging.errors import PackagingError
from tidemill_deploy.packaging.functions import MB, UNPACKED_LIMIT, Function

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_WHEN = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can state

_MODE = 0o100644 << 16
"""A file that everybody may read, as Lambda wants it. Libraries need no more: they are mapped, not executed."""


@dataclass(frozen=True, slots=True)
class Package:
    """A function's package.

    Attributes:
        function: the logical id of the function in the template.
        path: its file.
        sha256: of the file, in hexadecimal.
        zipped: bytes of the file.
        unpacked: bytes of the files in it.
    """

    function: str
    path: Path
    sha256: str
    zipped: int
    unpacked: int

    @property
    def key(self) -> str:
        """The name under which it lies in a bucket: changed code has another."""
        return f"{self.sha256}.zip"


def zipped(files: Mapping[str, bytes], *, compressed: bool = True) -> bytes:
    """The zip of some files: sorted, with one time and one mode for all, so that the same files are the same bytes.

    Args:
        files: name in the zip -> contents.
        compressed: False leaves the contents as they are, which takes a tenth of the time.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _WHEN)
            entry.create_system = 3  # Unix, whatever this machine is
            entry.external_attr = _MODE
            entry.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def described(function: Function, path: Path, code: bytes, files: Mapping[str, bytes]) -> Package:
    """The description of a package.

    Raises:
        PackagingError: it is too large; the message names what takes most of it.
    """
    unpacked = sum(map(len, files.values()))
    _check(function, "zipped", len(code), function.limit, files)
    _check(function, "unpacked", unpacked, UNPACKED_LIMIT, files)
    return Package(function.name, path, hashlib.sha256(code).hexdigest(), len(code), unpacked)


def code_keys(packages: Iterable[Package]) -> dict[str, str]:
    """The template's parameters that name the packages: parameter -> key in the bucket."""
    return {Function(package.function).parameter: package.key for package in packages}


def megabytes(size: int) -> str:
    """A size for people: `21.4 MB`."""
    return f"{size / MB:.1f} MB"


def _check(function: Function, how: str, size: int, limit: int, files: Mapping[str, bytes]) -> None:
    if size > limit:
        raise PackagingError(
            f"the package of {function.name} would be {megabytes(size)} {how}, and may be {megabytes(limit)}: "
            f"unpacked, the largest parts are {_largest(files)}"
        )


def _largest(files: Mapping[str, bytes]) -> str:
    parts: dict[str, int] = {}
    for name, contents in files.items():
        top = name.partition("/")[0]
        parts[top] = parts.get(top, 0) + len(contents)
    found = sorted(parts, key=lambda part: (-parts[part], part))[:3]
    return ", ".join(f"{part} ({megabytes(parts[part])})" for part in found)
