"""Amazon S3's server access logs.

Room: load, logs; pure. https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html
Tests: tests/producers/tidemill_load/logs/test_formats.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidemill_load.logs.clock import Clock, access_log_time
from tidemill_load.logs.columns import Columns, Reader
from tidemill_load.logs.pattern import METHOD, PatternReader, path_of

if TYPE_CHECKING:
    from tidemill_load.logs.columns import Fields

NAME = "an S3 server access log"

# owner bucket [time] address requester id operation key "request" status error bytes, and more.
_LINE = re.compile(
    rb"^\S+ (\S+) \[([^\]\n]+)\] (\S+) \S+ \S+ [A-Z]+\.[A-Z0-9_.]+ (\S+) "
    rb'"(' + METHOD + rb') (\S+)[^"\n]*" (\d{3}|-) \S+ (\d+|-)(?=\s|$)[^\n]*',
    re.MULTILINE,
)


def recognise(lines: Sequence[bytes], fields: Fields | None) -> Reader | None:
    """A reader, if any line is of the format. S3 writes records in no particular order, so blocks are sorted.

    What S3 did on its own account, such as S3.EXPIRE.OBJECT, has no request line and is unreadable.
    """
    clock = Clock(access_log_time)

    def columns(rows: Sequence[tuple[bytes, ...]]) -> Columns:
        buckets, times, clients, names, methods, urls, statuses, sizes = zip(*rows, strict=True)
        keys = [
            b"/" + bucket + b"/" + name if name != b"-" else path_of(url)
            for bucket, name, url in zip(buckets, names, urls, strict=True)
        ]
        return Columns(clock.times(times), clients, keys, methods, urls, statuses, sizes).sorted()

    reader = PatternReader(NAME, _LINE, columns)
    return reader if any(map(reader.matches, lines)) else None
