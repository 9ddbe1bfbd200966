"""What the stage needs on this machine: Java 17, PyFlink's environment, the connector; or the commands that make them.

Room: command line, I/O.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import tidemill_stream
from tidemill_cli.errors import CommandError

PACKAGES = Path(tidemill_stream.__file__).parent.parent
"""The folder that the stage's program is imported from."""

OLDEST_JAVA = 17


@dataclass(frozen=True, slots=True)
class Tools:
    """The Python that has PyFlink, and the connector's jar."""

    python: Path
    jar: Path


def tools(python: Path | None, jar: Path | None) -> Tools:
    """The tools, by default those that make put into the project's folder.

    Raises:
        CommandError: one is missing; says which command makes it.
    """
    found = Tools(
        python or PACKAGES.parent / ".venv" / "analytics" / "bin" / "python",
        jar or PACKAGES / "connector" / "target" / "tidemill-flink-connector.jar",
    )
    missing = [
        problem
        for problem in (
            _problem_of_java(),
            None if found.python.exists() else f"no PyFlink at {found.python}: make analytics-env",
            None if found.jar.exists() else f"no connector at {found.jar}: make connector",
        )
        if problem
    ]
    if missing:
        raise CommandError("; ".join(["the stage cannot run here", *missing]))
    return Tools(found.python.absolute(), found.jar.absolute())


def java_of(told: str) -> int | None:
    """The release in what `java -version` tells, such as 17 of `openjdk version "17.0.15"`; None if it tells none."""
    found = re.search(r'version "(?:1\.)?([0-9]+)', told)
    return int(found[1]) if found else None


def _problem_of_java() -> str | None:
    remedy = "on Debian: apt-get install openjdk-17-jre-headless"
    java = shutil.which("java")
    if java is None:
        return f"no java; {remedy}"
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603 # java
    release = java_of(told)
    if release is None or release < OLDEST_JAVA:
        return f"{java} is Java {release or 'of an unknown release'}, and Flink needs {OLDEST_JAVA}; {remedy}"
    return None
