"""Which format a file has, by its first lines.

Room: load, logs; pure. A new format is a module with a `recognise` and a line here.
Tests: tests/producers/tidemill_load/logs/test_formats.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tidemill_load.logs.formats import alb, archive_tsv, common, csv_table, json_lines, s3, w3c

if TYPE_CHECKING:
    from tidemill_load.logs.columns import Fields, Reader, Recognise

LINES: Final = 100
"""Of a file's lines, so many say what it is: that of which most are requests."""

OWN: Final[tuple[Recognise, ...]] = (json_lines.recognise_own, csv_table.recognise)
"""Formats whose fields somebody names."""

KNOWN: Final[tuple[Recognise, ...]] = (
    archive_tsv.recognise,
    w3c.recognise,
    alb.recognise,
    s3.recognise,
    common.recognise,
    json_lines.recognise_api_gateway,
)
"""All others; of two that fit alike the first, for S3's lines would pass for Common Log Format."""

NAMES: Final = (
    "Common or Combined Log Format, the logs of a load balancer, CloudFront or another W3C log, API Gateway's CLF or "
    "JSON, S3's server access logs or trace TSV"
)


def recognise(block: bytes, fields: Fields | None) -> Reader | None:
    """The reader of a file that begins like that; None where no format fits.

    Args:
        block: its beginning, whole lines.
        fields: of a log of one's own; then nothing else is looked for.
    """
    lines = _first_lines(block)
    head = b"\n".join(lines) + b"\n"
    found = [(one, reader) for one in (OWN if fields else KNOWN) if (reader := one(lines, fields))]
    best, _ = max(found, key=lambda pair: len(pair[1].read(head)[0]), default=(None, None))
    return best(lines, fields) if best else None  # the other one has read


def _first_lines(block: bytes) -> Sequence[bytes]:
    lines: list[bytes] = []
    start = 0
    while len(lines) < LINES and (end := block.find(b"\n", start)) >= 0:
        if line := block[start:end].rstrip(b"\r"):
            lines.append(line)
        start = end + 1
    return lines
