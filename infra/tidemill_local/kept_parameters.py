"""The parameters that a platform with a folder was started with, so that the next one goes on with them.

Room: local platform, I/O. A folder of an earlier release has none: then those that are given hold, and the defaults.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tidemill_event_source.files import write_whole
from tidemill_local.patches.durability.state_files import unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE = "parameters.json"

RENAMED = {"tidemill_consumers.rules": "tidemill_consumers.media"}
"""Modules of rules by the name that folders of earlier releases have."""


def read(state: Path) -> dict[str, str] | None:
    """What the last platform on the folder was given; None if the folder does not say.

    Raises:
        StateUnusable: the file cannot be read.
    """
    file = state / FILE
    if not file.exists():
        return None
    try:
        found = json.loads(file.read_text())
        if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
            raise ValueError("it is no object of texts")
    except (OSError, ValueError) as error:
        raise unreadable(file, error) from None
    if "Rules" in found:
        found["Rules"] = RENAMED.get(found["Rules"], found["Rules"])
    return found


def write(state: Path, parameters: Mapping[str, str]) -> None:
    """Keep them, for the owner only: there may be a secret among them."""
    write_whole(state / FILE, (json.dumps(dict(parameters), indent=2) + "\n").encode())
