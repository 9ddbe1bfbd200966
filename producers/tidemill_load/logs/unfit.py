"""Why no format fits a file, and what to name if it is JSON or CSV.

Room: load, logs; pure.
Tests: tests/producers/tidemill_load/logs/test_formats.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill_load.logs.columns import listed
from tidemill_load.logs.formats import csv_table, json_lines

if TYPE_CHECKING:
    from tidemill_load.logs.columns import Fields

UNKNOWN = "no format fits"


def why(block: bytes, fields: Fields | None) -> str:
    """What to say of each line of a file that begins like that.

    Args:
        block: its beginning.
        fields: that were named; None if none were.
    """
    line = block.lstrip().split(b"\n", 1)[0].rstrip(b"\r")
    names = json_lines.names(line) or csv_table.names(line)
    if not names:
        return UNKNOWN
    if fields is None:
        return f"{UNKNOWN}; of JSON or CSV, name time and key by --trace-time and --trace-key: it has {listed(names)}"
    missing = [name for name in (fields.time, fields.key, fields.client) if name and name not in names]
    return f"no {' and no '.join(missing)} in it; it has {listed(names)}" if missing else UNKNOWN
