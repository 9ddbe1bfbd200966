"""Common and Combined Log Format: nginx, Apache, and API Gateway's "CLF".

Room: load, logs; pure. https://httpd.apache.org/docs/current/logs.html#common and
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-access-logging.html
Tests: tests/producers/tidemill_load/logs/test_formats.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidemill_load.logs.clock import Clock, access_log_time
from tidemill_load.logs.columns import Columns, Reader
from tidemill_load.logs.pattern import METHOD, STAMP, PatternReader, path_of

if TYPE_CHECKING:
    from tidemill_load.logs.columns import Fields

NAME = "Common or Combined Log Format"

_ADDRESS = rb"(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]{0,4}:[0-9a-fA-F:.]+)"

# One pattern for all: Combined is Common and two more quoted fields. Before the client's address there may be one more
# word, a virtual host (Apache's vhost_combined) or a request's id. The request is matched up to the status and not up
# to the next quote, for old logs leave quotes unescaped; some of API Gateway have none.
_LINE = re.compile(
    rb"^" + STAMP + rb"(?:\S+ (?=" + _ADDRESS + rb" \S+ \S+ \[))?(\S+) \S+ [^\n]*?\[([^\]\s]+ [^\]\n]+)\] "
    rb'"?(' + METHOD + rb')[ ]+(\S[^\n]*?)(?:[ ]+HTTP/\d(?:\.\d)?)?[ ]*"? (\d{3}|-) (\d+|-)(?=\s|$)[^\n]*',
    re.MULTILINE,
)
_REQUEST = re.compile(rb'\S+ \S+ [^\n]*?\[[^\]\n]+\] "([^\n]*?)" (?:\d{3}|-) (?:\d+|-)(?=\s|$)')


def recognise(lines: Sequence[bytes], fields: Fields | None) -> Reader | None:
    """A reader, if any line is of the format."""
    clock = Clock(access_log_time)

    def columns(rows: Sequence[tuple[bytes, ...]]) -> Columns:
        clients, times, methods, urls, statuses, sizes = zip(*rows, strict=True)
        return Columns(clock.times(times), clients, list(map(path_of, urls)), methods, urls, statuses, sizes)

    reader = PatternReader(NAME, _LINE, columns, _explain)
    return reader if any(map(reader.matches, lines)) else None


def _explain(line: bytes) -> str | None:
    found = _REQUEST.match(line)
    return f"{found[1][:40].decode('latin-1')!r} is not an HTTP request" if found else None
