"""Third-party packages for another machine: uv gets their wheels, of the versions and hashes in locks/.

Room: packaging, I/O: runs uv, which asks the index of packages that it is set up with.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tidemill_deploy.packaging.contents import is_needed
from tidemill_deploy.packaging.errors import PackagingError

LOCKS = Path(__file__).parent / "locks"
"""A file for each extra that functions need: the part of requirements.lock that it brings. `make lock` writes them."""

_GLIBC = "manylinux_2_34"
"""Lambda's Pythons from 3.12 on run on Amazon Linux 2023, which has glibc 2.34.
https://docs.aws.amazon.com/linux/al2023/ug/compare-with-al2.html"""

_MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}

_DRAWN = re.compile(r"^\s*(error:|cause:|[^\w\s`'(]+)\s*", re.MULTILINE)
"""How uv's lines begin: words and drawings for a terminal."""

_NO_NETWORK = re.compile(r"dns error|error sending request|Failed to fetch|[Cc]onnect|network|tunnel", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a package is to run.

    Attributes:
        architecture: as Lambda names it.
        python: the version, such as 3.14.
    """

    architecture: str
    python: str

    @property
    def platform(self) -> str:
        """The platform as uv names it."""
        return f"{_MACHINES[self.architecture]}-{_GLIBC}"

    def __str__(self) -> str:
        return f"Python {self.python} on {self.architecture}"


def installed(lock: Path, requirements: Path | None, target: Target | None, folder: Path) -> dict[str, Path]:
    """Install into a folder what a function needs.

    Args:
        lock: the pinned packages, with hashes.
        requirements: what the rules require besides; hashes in it are checked, too.
        target: where it is to run: only wheels will do then; None is this machine and this Python.
        folder: an empty one.

    Returns:
        The files that belong into the function's package, by their name there.

    Raises:
        PackagingError: a package cannot be had; the message names it.
    """
    excluded = folder.with_name(f"{folder.name}.excluded")
    excluded.write_text("tidemill\n")  # the package has it already, as it is here
    command = [uv(), "pip", "install", "--quiet", "--no-progress", "--color", "never"]
    command += ["--python", sys.executable, "--target", str(folder), "--requirements", str(lock)]
    command += (
        ["--requirements", str(requirements), "--excludes", str(excluded)] if requirements else ["--require-hashes"]
    )
    if target:
        command += ["--only-binary", ":all:", "--python-platform", target.platform, "--python-version", target.python]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise PackagingError(_problem(done.stderr, target, requirements))
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name: folder / name for name in names if is_needed(name)}


def uv() -> str:
    """The program uv: the one that is installed beside this Python, or the shell's.

    Raises:
        PackagingError: there is none.
    """
    if importlib.util.find_spec("uv"):
        from uv import find_uv_bin

        return str(find_uv_bin())
    if found := shutil.which("uv"):
        return found
    raise PackagingError("uv is not installed, which gets the functions' packages: pip install 'tidemill[deploy]'")


def _problem(said: str, target: Target | None, requirements: Path | None) -> str:
    whole = " ".join(_DRAWN.sub("", said).split())
    if _NO_NETWORK.search(said):
        return (
            f"the index of packages cannot be reached, and uv has not kept all that is needed: {whole}; "
            "with UV_OFFLINE=1 uv takes what it has kept"
        )
    besides = f" and {requirements}" if requirements else ""
    return f"the packages that the functions{besides} need cannot be had for {target or 'this machine'}: {whole}"
