"""Compiles a package's modules for the functions' Python, so that a new environment need not.

Room: packaging, I/O: runs that Python, which must be on this machine. Bytecode is the same for all processors.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill_deploy.packaging.archive import zipped
from tidemill_deploy.packaging.errors import PackagingError
from tidemill_deploy.packaging.wheels import uv

if TYPE_CHECKING:
    from collections.abc import Mapping

TASK_ROOT = "/var/task"
"""Where Lambda unpacks a function's code, as tracebacks name it.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""


def compiled(files: Mapping[str, bytes], python: str) -> dict[str, bytes]:
    """The files of a package, with the bytecode of its modules.

    Args:
        files: name in the package -> contents.
        python: the version, such as 3.14.

    Raises:
        PackagingError: that Python is not on this machine.
    """
    program = _interpreter(python)
    with tempfile.TemporaryDirectory(prefix="tidemill-compiled-") as folder:
        zipfile.ZipFile(io.BytesIO(zipped(files, compressed=False))).extractall(folder)
        # Unchecked: a module's time is not asked for, which a zip does not keep. Modules that this Python cannot
        # compile, such as tests of a newer one, stay as they are: hence no check of the exit code.
        options = ["-q", "--invalidation-mode", "unchecked-hash", "-s", folder, "-p", TASK_ROOT]
        subprocess.run(  # noqa: S603 # our own words
            [program, "-S", "-P", "-m", "compileall", *options, folder],
            env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONHASHSEED": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        made = {path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*.pyc")}
    return {**files, **made}


def _interpreter(python: str) -> str:
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    command = [uv(), "python", "find", "--no-project", "--no-python-downloads", f"cpython@{python}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise PackagingError(
            f"to compile for Python {python} it must be on this machine: uv python install {python}, "
            "or go without --compile"
        )
    return done.stdout.strip()
