"""Lines of JSON: API Gateway's access logs, and logs of one's own whose fields are named.

Room: load, logs; pure. https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-access-logging.html
Tests: tests/producers/tidemill_load/logs/test_formats.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from tidemill_load.logs.clock import Clock, any_time
from tidemill_load.logs.columns import NOTHING, Bad, Columns, Reader, bad_lines, listed
from tidemill_load.logs.pattern import path_of

if TYPE_CHECKING:
    from tidemill_load.logs.columns import Fields

    Row: TypeAlias = Mapping[str, Any]

# The names that the console's example and the usual templates give to $context's variables.
_TIMES = ("requestTimeEpoch", "requestTime", "timestamp", "time")
_CLIENTS = ("ip", "sourceIp", "clientIp")
_KEYS = ("path", "resourcePath", "routeKey", "uri")

_decoder = msgspec.json.Decoder(dict[str, Any])


@dataclass(slots=True)
class JsonReader:
    """Reads lines of JSON; what an export of CloudWatch Logs puts before them is passed over.

    Args:
        name: of the format.
        pick: time, client, key, method, status and size of a row, empty where it has none; None where it has no time or
            no key.
        lacks: of a row of which nothing is picked: what it has not.
    """

    name: str
    pick: Callable[[Row], tuple[bytes, ...] | None]
    lacks: Callable[[Row], str] = lambda _: "a field is missing"
    _clock: Clock = field(default_factory=lambda: Clock(any_time))

    def read(self, block: bytes) -> tuple[Columns, Sequence[Bad]]:
        """All lines that hold an object with a time and a key, and those that do not."""
        columns = self._columns(block)
        return columns, () if len(columns) == block.count(b"\n") else bad_lines(block, self._why)

    def _columns(self, block: bytes) -> Columns:
        rows = list(filter(None, map(self.pick, _rows(block))))
        if not rows:
            return NOTHING
        times, clients, keys, methods, statuses, sizes = zip(*rows, strict=True)
        columns = Columns(
            self._clock.times(times),
            clients,
            keys,
            methods if all(methods) else (),
            keys if all(methods) else (),
            statuses,
            sizes,
        )
        return columns.dated()

    def _why(self, line: bytes) -> str | None:
        if len(self._columns(line)):
            return None
        row = _row(line)
        if row is None:
            return "not an object of JSON"
        picked = self.pick(row)
        if picked is None:
            return f"not {self.name}: {self.lacks(row)}"
        return f"{picked[0][:40].decode('utf-8', 'replace')!r} is not a time"


def recognise_own(lines: Sequence[bytes], fields: Fields | None) -> Reader | None:
    """A reader of named fields, if any line is an object of JSON."""
    if fields is None or not any(_row(line) is not None for line in lines):
        return None
    where = f"JSON with {', '.join(filter(None, (fields.time, fields.key, fields.client)))}"

    def pick(row: Row) -> tuple[bytes, ...] | None:
        time, key = _text(_at(row, fields.time)), _text(_at(row, fields.key))
        client = _text(_at(row, fields.client)) if fields.client else b"-"
        return (time, client or b"-", key, b"", b"", b"") if time and key else None

    def lacks(row: Row) -> str:
        missing = [name for name in (fields.time, fields.key) if not _text(_at(row, name))]
        return f"no {' and no '.join(missing)} in it; it has {listed(row)}"

    return JsonReader(where, pick, lacks)


def names(line: bytes) -> list[str]:
    """The fields of a line; none if it is no object of JSON."""
    return list(_row(line) or ())


def recognise_api_gateway(lines: Sequence[bytes], fields: Fields | None) -> Reader | None:
    """A reader of API Gateway's JSON, if any line has a time and a path by the names that its templates use."""
    reader = JsonReader("API Gateway's JSON", _api_gateway)
    return reader if any((row := _row(line)) and _api_gateway(row) for line in lines) else None


def _api_gateway(row: Row) -> tuple[bytes, ...] | None:
    time, key = _first(row, _TIMES), _first(row, _KEYS)
    if not time or not key:
        return None
    method = _text(row.get("httpMethod"))
    if not method and b" " in key:  # a route's key, such as "GET /pets/{id}"
        method, _, key = key.partition(b" ")
    client = _first(row, _CLIENTS) or b"-"
    return time, client, path_of(key), method, _text(row.get("status")), _text(row.get("responseLength"))


def _first(row: Row, names: Sequence[str]) -> bytes:
    return next((text for name in names if (text := _text(row.get(name))) and text != b"-"), b"")


def _rows(block: bytes) -> Sequence[Row]:
    if block.startswith(b"{"):
        try:
            return msgspec.json.Decoder(dict[str, Any]).decode_lines(block)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass  # line by line, to lose no more than what is broken
    return [row for line in block.split(b"\n") if (row := _row(line)) is not None]


def _row(line: bytes) -> Row | None:
    try:
        return _decoder.decode(line if line.startswith(b"{") else line[max(0, line.find(b"{")) :])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _at(row: Row, name: str) -> object:
    """The field of that name, or of that path: "http.path" is `path` in `http`, unless there is an "http.path"."""
    if name in row:
        return row[name]
    found: object = row
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _text(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return b"" if value is None else msgspec.json.encode(value)
