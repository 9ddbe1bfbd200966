"""A real access log as a workload.

Room: load. What a log says is logs/'s; here its requests become scheduled ones.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.contract.request import MAX_KEY_CHARACTERS
from tidemill_load.logs import MAX_LINE_BYTES, REASONS_KEPT, Fields, Log, TraceError, Unreadable, read_log
from tidemill_load.logs.formats.archive_tsv import HEADER
from tidemill_load.workloads.scheduled_request import ScheduledRequest

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Sequence

    from tidemill_load.logs import Columns

__all__ = ["HEADER", "MAX_LINE_BYTES", "REASONS_KEPT", "Fields", "Trace", "TraceError", "Unreadable", "read_trace"]


class Trace:
    """An access log. Each iteration reads it again and yields its requests in the order of time.

    Args:
        log: the log. Its counts are those of the latest iteration.
    """

    def __init__(self, log: Log) -> None:
        self.log = log

    def __iter__(self) -> Generator[ScheduledRequest]:
        start: float | None = None
        latest = 0.0
        for columns in self.log:
            start = float(columns.times[0]) if start is None else start
            for time, row in zip(columns.times.tolist(), _rows(columns), strict=True):
                # Servers log a request when it ends, so lines may stand a little out of order.
                latest = max(latest, time - start)
                yield _scheduled(latest, *row)

    @property
    def requests(self) -> int:
        """Requests that were read; a whole block of them at a time."""
        return self.log.requests

    @property
    def unreadable(self) -> int:
        """Lines that hold no request."""
        return self.log.unreadable

    @property
    def first_unreadable(self) -> tuple[Unreadable, ...]:
        """The first few of those lines, with reasons."""
        return self.log.first_unreadable


def read_trace(paths: str | os.PathLike[str] | Sequence[Path], fields: Fields | None = None) -> Trace:
    """The access log in a file, a folder or several: see `logs.read_log`.

    A GET becomes a `content.view` of "content" + the URL's path, any other method an `event.track` under "event" + the
    path with data {method, url}; data carries status and bytes as integers where the log knows them. What has no method
    is an `event.track` under its own key. A key beyond 256 characters is cut and ends in a hash of it. Hosts become
    hashes.

    Raises:
        TraceError: no such file, not permitted, binary, or without one readable line.
    """
    return Trace(read_log(paths if isinstance(paths, list | tuple) else [Path(str(paths))], fields))


def _rows(columns: Columns) -> zip[tuple[bytes, ...]]:
    names = (columns.clients, columns.keys, columns.methods, columns.urls, columns.statuses, columns.sizes)
    return zip(*(column or repeat(b"", len(columns)) for column in names), strict=True)


def _scheduled(
    at: float, client: bytes, key: bytes, method: bytes, url: bytes, status: bytes, size: bytes
) -> ScheduledRequest:
    known = {name: int(text) for name, text in (("status", status), ("bytes", size)) if _is_count(text)}
    if not method:
        return ScheduledRequest(at, "event.track", _within(_text(key)), _client(client), known)
    if method == b"GET":
        return ScheduledRequest(at, "content.view", _within(f"content{_text(key)}"), _client(client), known)
    data = {"method": _text(method), "url": _text(url), **known}
    return ScheduledRequest(at, "event.track", _within(f"event{_text(key)}"), _client(client), data)


def _is_count(text: bytes) -> bool:
    return text.isdigit() and len(text) < len(str(2**63))


@lru_cache(maxsize=64 * 1024)
def _client(host: bytes) -> str:
    return _short_hash(_text(host).lower())


@lru_cache(maxsize=64 * 1024)
def _text(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _within(key: str) -> str:
    """The key, or the beginning of it and a hash: so it is no longer than the contract allows."""
    if len(key) <= MAX_KEY_CHARACTERS:
        return key
    tail = f"~{_short_hash(key)}"
    return key[: MAX_KEY_CHARACTERS - len(tail)] + tail


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
