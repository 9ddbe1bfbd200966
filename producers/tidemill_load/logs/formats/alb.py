"""Access logs of Application and Classic Load Balancers.

Room: load, logs; pure.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html and
https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/access-log-collection.html
Tests: tests/producers/tidemill_load/logs/test_formats.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidemill_load.logs.clock import Clock, fractions, iso_second
from tidemill_load.logs.columns import Columns, Reader
from tidemill_load.logs.pattern import METHOD, PatternReader

if TYPE_CHECKING:
    from tidemill_load.logs.columns import Fields

NAME = "an access log of a load balancer"

# type time elb client:port target:port, three durations, two statuses, bytes received and sent, "request", and more.
# A classic load balancer's lines begin with the time. The path is a group of its own, for there are many lines; that no
# part is tried twice ("++") saves a third of the time.
_LINE = re.compile(
    rb"^(?:[a-z0-9]++ )?+(\d{4}-[0-9-]++T[0-9:]++)(\.[0-9]++)?+Z \S++ (\S+):\d++ \S++ \S++ \S++ \S++ (\S++) \S++ \S++ "
    rb'(\S++) "(' + METHOD + rb') ((?:[a-z]++://[^/\s?#"]*+)?+([^\s?#"]*+)[^\s"]*+) [^\n]*+',
    re.MULTILINE,
)
_REQUEST = re.compile(rb'^(?:[a-z0-9]+ )?\d{4}-\S+Z (?:\S+ ){10}"([^"\n]*)"')


def recognise(lines: Sequence[bytes], fields: Fields | None) -> Reader | None:
    """A reader, if any line is of the format."""
    clock = Clock(iso_second)

    def columns(rows: Sequence[tuple[bytes, ...]]) -> Columns:
        seconds, parts, clients, statuses, sizes, methods, urls, paths = zip(*rows, strict=True)
        return Columns(clock.times(seconds) + fractions(parts), clients, paths, methods, urls, statuses, sizes)

    reader = PatternReader(NAME, _LINE, columns, _explain)
    return reader if any(map(reader.matches, lines)) else None


def _explain(line: bytes) -> str | None:
    found = _REQUEST.match(line)
    return f"{found[1][:40].decode('latin-1')!r} is not an HTTP request" if found else None
