"""From Lambda's event to typed requests: the consumer's intake against json and pydantic."""

from __future__ import annotations

import base64
import json
from typing import Any, Literal

from aws_kinesis_agg import deaggregator
from pydantic import BaseModel, Field

from tests.perf.measure import Result, faster
from tests.perf.workload import STREAM, aggregated_event, payloads, plain_event
from tidemill_consumers.codec.events import intake

PLAIN, AGGREGATED = 10_000, 21_000
"""As many as a batch may have, or 6 MB."""


class Model(BaseModel):
    """A request as pydantic has it."""

    v: Literal[1]
    id: str = Field(min_length=1, max_length=128)
    cmd: str = Field(min_length=1, max_length=128)
    key: str | None = Field(default=None, min_length=1, max_length=256)
    client: str | None = Field(default=None, min_length=1, max_length=256)
    w: str | None = Field(default=None, min_length=1, max_length=128)
    n: int | None = Field(default=None, ge=0, lt=2**63)
    at: int | None = None
    data: dict[str, Any]


def decode_plain(pairs: int) -> list[Result]:
    """A request a record."""
    event = plain_event(payloads(PLAIN))
    records: list[Any] = list(event["Records"])

    def theirs() -> list[Model]:
        return [Model.model_validate(json.loads(base64.b64decode(one["kinesis"]["data"]))) for one in records]

    assert [one.id for one in theirs()] == [one.request.id for one in intake(event, STREAM).arrivals]
    return [faster("decode_plain", theirs, lambda: intake(event, STREAM), 2.2, "json and pydantic's requests/s", pairs)]


def decode_aggregated(pairs: int) -> list[Result]:
    """Records of 25 KiB."""
    event = aggregated_event(payloads(AGGREGATED))
    records: list[Any] = list(event["Records"])

    def theirs() -> list[Model]:
        found = deaggregator.deaggregate_records(records)
        return [Model.model_validate(json.loads(base64.b64decode(one["kinesis"]["data"]))) for one in found]

    assert [one.id for one in theirs()] == [one.request.id for one in intake(event, STREAM).arrivals]
    unit = "aws-kinesis-agg and pydantic's requests/s"
    return [faster("decode_aggregated", theirs, lambda: intake(event, STREAM), 6.0, unit, pairs)]
