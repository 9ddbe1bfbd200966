"""A producer's settings: the arguments that both producers take, their defaults and their ranges.

Room: SDK. No I/O.
Tests: tests/producers/tidemill/test_producer.py.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypedDict

import msgspec

from tidemill.contract.claim_check import CLAIM_CHECK
from tidemill.sending.claims import MOST_WITHIN
from tidemill.sending.records import RECORD_BYTES
from tidemill.sending.scheduler import LINGER

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from tidemill.contract.request import Request
    from tidemill.spool.spool import Spool

MAX_PENDING_BYTES = 64 * 1024 * 1024
"""Default of the unacknowledged bytes from which the producer is full."""

CLOSE_TIMEOUT = 30.0
"""Default of the seconds that closing a producer takes at most."""

WhenFull: TypeAlias = Literal["wait", "raise", "drop_oldest"]
"""What `send` does when there is no room: waits for it, raises BufferFull, or gives up the oldest requests."""


class Signs(Protocol):
    """A signer of requests, such as `tidemill.Signer`."""

    def sign(self, request: Request) -> Request:
        """The request, signed."""


class Settings(TypedDict, total=False):
    """The settings as given: arguments of `Producer`, where they are described."""

    client: str | None
    spool: Spool | None
    signer: Signs | None
    tracer: Tracer | None
    bucket: str | None
    claim_check: int
    ttl: float
    when_full: WhenFull
    max_pending_bytes: int
    aggregate: bool
    lanes: int | None
    record_bytes: int
    linger: float
    writer: str | None
    counter: int
    close_timeout: float


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The settings with defaults, validated. (A dataclass would take a twentieth of the SDK's import.)"""

    client: str | None = None
    spool: Spool | None = None
    signer: Signs | None = None
    tracer: Tracer | None = None
    bucket: str | None = None
    claim_check: int = CLAIM_CHECK
    ttl: float = inf
    when_full: WhenFull = "wait"
    max_pending_bytes: int = MAX_PENDING_BYTES
    aggregate: bool = True
    lanes: int | None = None
    record_bytes: int = RECORD_BYTES
    linger: float = LINGER
    writer: str | None = None
    counter: int = 0
    close_timeout: float = CLOSE_TIMEOUT

    def __post_init__(self) -> None:
        sender: object = self.client
        if not isinstance(sender, str | None):
            kind = type(sender).__name__
            raise TypeError(f"client names the sender, as a str, not {kind}; pass a boto3 client as kinesis=")
        bucket: object = self.bucket
        if not (bucket is None or (isinstance(bucket, str) and bucket)):
            raise ValueError(f"bucket={bucket!r}: use the content bucket's name; pass a boto3 client as s3=")
        if not 0 <= self.claim_check <= MOST_WITHIN:
            raise ValueError(f"claim_check={self.claim_check}: use bytes, 0 to {MOST_WITHIN}")
        if self.max_pending_bytes < 1:
            raise ValueError(f"max_pending_bytes={self.max_pending_bytes}: use 1 or more")
        if self.when_full not in ("wait", "raise", "drop_oldest"):
            raise ValueError(f"when_full={self.when_full!r}: use 'wait', 'raise' or 'drop_oldest'")
        if not self.ttl > 0:
            raise ValueError(f"ttl={self.ttl}: use seconds, more than 0")
        if not self.close_timeout >= 0:
            raise ValueError(f"close_timeout={self.close_timeout}: use seconds, 0 or more")
