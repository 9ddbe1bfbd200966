"""The parameters with which a platform with a state folder was started, kept for the next platform on that folder.

Room: local platform, I/O. A folder of an earlier release has none: then the given parameters and the defaults apply.
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
"""Module of rules as named in folders of earlier releases -> its present name."""


def read(state: Path) -> dict[str, str] | None:
    """The parameters of the last platform on the folder; None if the folder has none.

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
    """Keep the parameters in a file that only its owner may read: one may be a secret."""
    write_whole(state / FILE, (json.dumps(dict(parameters), indent=2) + "\n").encode())
