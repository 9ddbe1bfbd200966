"""SQL over the archive (and, later, over the stream).

    from tidemill_analytics import Archive

    Archive("kept/archive").sql("SELECT cmd, key FROM requests")

The names here are public. They are imported when first used, because importing DuckDB and pandas takes long.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidemill_analytics.archive import Archive, ArchiveError

__all__ = ["Archive", "ArchiveError"]

if not TYPE_CHECKING:  # a type checker reads the imports above, and so reports unknown names

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module("tidemill_analytics.archive"), name)
