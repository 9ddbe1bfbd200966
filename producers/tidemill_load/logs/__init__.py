"""Access logs: one module for each format, behind one interface (columns.py); files and folders; the order of time.

Room: load, logs; pure but for files.py.
"""

from tidemill_load.logs.columns import Columns, Fields
from tidemill_load.logs.files import MAX_LINE_BYTES, TraceError
from tidemill_load.logs.read import REASONS_KEPT, Log, Unreadable, lines_of, read_log

__all__ = [
    "MAX_LINE_BYTES",
    "REASONS_KEPT",
    "Columns",
    "Fields",
    "Log",
    "TraceError",
    "Unreadable",
    "lines_of",
    "read_log",
]
