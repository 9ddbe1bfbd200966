"""Suggested next commands, which can be pasted into the shell that ran this one.

Room: command line.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def program() -> str:
    """This program as a shell here calls it: by its name if the shell finds it, else by its path."""
    own = Path(sys.argv[0])
    found = shutil.which(own.name)
    if found and Path(found).resolve() == own.resolve():
        return own.name
    relative = os.path.relpath(own.absolute())
    return shlex.quote(relative if len(relative) < len(str(own.absolute())) else str(own.absolute()))


def after_demo(kept: Path | None) -> list[str]:
    """The lines after a demo; indented ones are commands.

    Args:
        kept: where it kept its state and archive, if it did.
    """
    name = program()
    if kept is None:
        return [
            "next: the same, kept to be asked; or the platform until Ctrl-C, and a request from another shell:",
            f"  {name} demo --keep kept",
            f"  {name} up",
            f"  {name} send content.view content/42",
        ]
    folder = shlex.quote(str(kept))
    return [
        "next: ask the archive, or go on with the platform:",
        f"  {name} query commands --archive {folder}/archive",
        f"  {name} up --state {folder}/state",
    ]
