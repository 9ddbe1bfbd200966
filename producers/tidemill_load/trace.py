"""Reading a real access log as a workload.

Room: load. The one file here that reads a file; nothing in a log is fatal but a log without a request.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from tidemill.request import MAX_KEY_CHARACTERS
from tidemill_load.planned import Planned

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Iterator

MAX_LINE_BYTES = 16 * 1024
"""A longer line is unreadable; servers cap the request line at half of it."""

REASONS_KEPT = 5
"""How many unreadable lines are kept with their reason; all are counted."""

HEADER = ("host", "logname", "time", "method", "url", "response", "bytes", "referer", "useragent")
"""The header row of the Internet Traffic Archive's traces as tab-separated values."""

# One pattern for both formats: the Combined Log Format is the Common Log Format and two more quoted fields.
# The request is matched up to the status and not up to the next quote, for old logs leave quotes unescaped.
_LOG_LINE = re.compile(r'(\S+) \S+ .*?\[([^\]\s]+ [^\]]+)\] "(.*?)" (\d{3}|-) (\d+|-)(?:\s|$)')
_REQUEST_LINE = re.compile(r"([A-Za-z][A-Za-z_-]{0,31})\s+(\S.*?)(?:\s+HTTP/\d(?:\.\d)?)?\s*")
_GZIP_MAGIC = b"\x1f\x8b"


class TraceError(Exception):
    """A file that is no access log; says what is wrong with it in one sentence."""


class _UnreadableLineError(ValueError):
    pass


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that holds no request: its number, counted from 1, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class _Entry:
    host: str
    time: float
    method: str
    url: str
    status: str
    size: str


_Parse: TypeAlias = "Callable[[str], _Entry]"


class Trace:
    """An access log. Each iteration reads the file again and yields its requests in file order.

    The counts are those of the latest iteration.

    Attributes:
        path: the file.
        requests: requests yielded.
        unreadable: lines that hold no request.
        first_unreadable: the first few of those lines, with reasons.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start_count()

    def __iter__(self) -> Generator[Planned]:
        self._start_count()
        start = latest = None
        for entry in self._entries():
            start = entry.time if start is None else start
            # Servers log a request when it ends, so lines may stand a little out of order.
            latest = max(entry.time - start, latest or 0.0)
            self.requests += 1
            yield _planned(entry, latest)

    def _start_count(self) -> None:
        self.requests = 0
        self.unreadable = 0
        self.first_unreadable: tuple[Unreadable, ...] = ()

    def _entries(self) -> Iterator[_Entry]:
        parse: _Parse = _parse_log_line
        for number, line in _lines(self.path):
            try:
                text = _text(line)
                if tuple(text.split("\t")) == HEADER:
                    parse = _parse_tab_separated
                elif text:
                    yield parse(text)
            except _UnreadableLineError as error:
                self._note(number, str(error))

    def _note(self, line: int, reason: str) -> None:
        self.unreadable += 1
        if len(self.first_unreadable) < REASONS_KEPT:
            self.first_unreadable += (Unreadable(line, reason),)


def read_trace(path: str | os.PathLike[str]) -> Trace:
    """The access log at `path`: Common or Combined Log Format, or the Internet Traffic Archive's TSV.

    The format and gzip are recognised by content. A GET becomes a `content.view` of "content" + the URL's
    path, any other method an `event.track` under "event" + the path with data {method, url}; data carries
    status and bytes as integers where the log knows them. A key beyond 256 characters is cut and ends in a
    hash of its path. Hosts become hashes. Empty lines are skipped, unreadable ones counted.

    Raises:
        TraceError: no such file, a directory, not permitted, binary, or without one readable line.
    """
    trace = Trace(Path(path))
    with closing(iter(trace)) as requests:
        first = next(requests, None)
    if first is None:
        why = f": line {noted.line}: {noted.reason}" if (noted := next(iter(trace.first_unreadable), None)) else ""
        raise TraceError(f"{path} holds no request in Common or Combined Log Format or trace TSV{why}")
    return trace


def _lines(path: Path) -> Iterator[tuple[int, bytes | str]]:
    """Numbered lines; a str in a line's place says why the line, or the rest of the file, cannot be read."""
    number = 0
    try:
        with path.open("rb") as file, _opened(file) as stream:
            while line := stream.readline(MAX_LINE_BYTES):
                number += 1
                yield number, line if _whole(line, stream) else f"longer than {MAX_LINE_BYTES} bytes"
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield number + 1, f"the gzip stream is damaged from here on ({error})"
    except FileNotFoundError:
        raise TraceError(f"there is no file {path}") from None
    except IsADirectoryError:
        raise TraceError(f"{path} is a directory; name one access log in it") from None
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror or error}") from None


def _opened(file: IO[bytes]) -> IO[bytes]:
    head = file.read(2)
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if head == _GZIP_MAGIC else file  # type: ignore[return-value] # it reads as any file does


def _whole(line: bytes, stream: IO[bytes]) -> bool:
    """Whether `line` is all of its line; if not, the rest of it is skipped."""
    if len(line) < MAX_LINE_BYTES or line.endswith(b"\n"):
        return True
    while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass
    return False


def _text(line: bytes | str) -> str:
    if isinstance(line, str):
        raise _UnreadableLineError(line)
    if b"\0" in line:
        raise _UnreadableLineError("binary, not text")
    line = line.rstrip(b"\r\n")
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _parse_log_line(text: str) -> _Entry:
    match = _LOG_LINE.match(text)
    if match is None:
        raise _UnreadableLineError("not Common or Combined Log Format")
    host, time, request, status, size = match.groups()
    asked = _REQUEST_LINE.fullmatch(request)
    if asked is None:
        raise _UnreadableLineError(f"{request[:40]!r} is not an HTTP request")
    return _Entry(host, _log_time(time), asked[1], asked[2], status, size)


def _parse_tab_separated(text: str) -> _Entry:
    fields = text.split("\t")
    if len(fields) != len(HEADER):
        raise _UnreadableLineError(f"{len(fields)} fields instead of {len(HEADER)}")
    host, _, time, method, url, status, size, *_ = fields
    if not time.isascii() or not time.isdigit() or len(time) > len("8072568000000"):
        raise _UnreadableLineError(f"the time {time[:40]!r} is not a count of seconds")
    if not host or not method or not url:
        raise _UnreadableLineError("host, method or url is empty")
    return _Entry(host, float(time), method, url, status, size)


def _log_time(text: str) -> float:
    """Seconds since 1970 of "01/Aug/1995:00:00:01 -0400"; dates repeat, so each is parsed once."""
    day, _, rest = text.partition(":")
    clock, _, zone = rest.partition(" ")
    try:
        hours, minutes, seconds = map(int, clock.split(":"))
        return _midnight(day, zone) + timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds()
    except (ValueError, OverflowError):
        raise _UnreadableLineError(f"{text[:40]!r} is not a time") from None


@lru_cache(maxsize=1024)
def _midnight(day: str, zone: str) -> float:
    return datetime.strptime(f"{day} {zone}", "%d/%b/%Y %z").timestamp()


def _planned(entry: _Entry, at: float) -> Planned:
    known = {name: int(text) for name, text in (("status", entry.status), ("bytes", entry.size)) if _is_count(text)}
    client, path = _client(entry.host), _path(entry.url)
    if entry.method == "GET":
        return Planned(at, "content.view", _key("content", path), client, known)
    data = {"method": entry.method, "url": entry.url, **known}
    return Planned(at, "event.track", _key("event", path), client, data)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < len(str(2**63))


@lru_cache(maxsize=64 * 1024)
def _client(host: str) -> str:
    return _short_hash(host.lower())


@lru_cache(maxsize=64 * 1024)
def _path(url: str) -> str:
    path = url
    if "://" in url:  # a proxy's request names the host, too
        with suppress(ValueError):  # such as "http://[" of a scanner
            path = urlsplit(url).path
    path = path.partition("?")[0].partition("#")[0]
    return path if path.startswith("/") else f"/{path}"


def _key(kind: str, path: str) -> str:
    key = f"{kind}{path}"
    if len(key) <= MAX_KEY_CHARACTERS:
        return key
    tail = f"~{_short_hash(path)}"
    return key[: MAX_KEY_CHARACTERS - len(tail)] + tail


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
