"""The cost model's input: the workload, the producer, the event source mapping, the functions.

Room: load, pure. A value; the defaults are the SDK's and the template's, or measured: docs/cost.md has the sources.
Tests: tests/producers/tidemill_load/cost_model/test_model.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tidemill.contract.claim_check import CLAIM_CHECK, MAX_DATA_BYTES
from tidemill.contract.lanes import LANES, MAX_LANES
from tidemill.contract.request import MAX_KEY_CHARACTERS, MAX_REQUEST_BYTES
from tidemill.sending.records import MAX_RECORD_BYTES, RECORD_BYTES
from tidemill.sending.scheduler import LINGER
from tidemill_load.workloads.key_distribution import KeyDistribution

Design: TypeAlias = Literal["direct", "buffered", "aggregated", "http-in-front"]
"""How a request travels: an invocation each behind an API; a record each; many to a record; a record each, put by an
API."""

DESIGNS: tuple[Design, ...] = ("direct", "buffered", "aggregated", "http-in-front")

Api: TypeAlias = Literal["http", "rest", "none"]
"""The API before the direct function or the stream: an HTTP API, a REST API, or nothing that costs."""

Plan: TypeAlias = Literal["LITE", "ESSENTIALS", "PLUS"]
"""The plan of a Cognito user pool, the template's UserPoolTier."""

MEMORY, MAX_SECONDS = (128, 10_240), 900
"""A Lambda function's limits in MB and seconds:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

MAX_ITEM_BYTES = 400 * 1024
"""DynamoDB's limit for an item."""

FEW_WRITERS, WRITER_BYTES = 4, 16
"""Writers that an item remembers whatever else it holds, and bytes of each."""

MAX_WINDOW, MAX_BATCH = 300, 10_000
"""Limits of an event source mapping, in seconds and records:
https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html"""

MAX_OBJECTS, MAX_OBJECT_BYTES = 16, 1024 * 1024
"""Most objects that a request's rule returns, and their most bytes together."""

CLAIM_CHECK_BYTES = 350
"""Bytes of a request's JSON that says where its data was uploaded, besides its key."""

S3_AT_ONCE = 16
"""S3 calls that an invocation makes at once."""


class Impossible(ValueError):
    """An input that AWS or the contract does not allow; the message names the nearest possible value."""


OBJECT_DAYS, UPLOAD_DAYS = 30.0, 30.0
"""Days that an object is kept until nothing names it and it is swept, an estimate; and an upload: the template's
ContentDays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """All assumptions beside the rate.

    Attributes:
        size: bytes of a request's JSON.
        key_bytes: bytes of its ordering key.
        keys: the ordering keys.
        fold: measured number of distinct keys per request of a batch; None computes it from `keys`.
        clients: number of clients that are answered; each gets a message for each batch with requests of its own.
        producers: number of producers that share the rate, each with its own records; None for as many as clients.
        single_replies: the share of requests answered by a message each; the rest share one per client and batch.
            None: nobody is answered.
        window: whole seconds that a batch may wait to be filled: MaximumBatchingWindowInSeconds.
        batch: the most records of a batch: BatchSize.
        linger: seconds that a request may wait in its producer for others to share a record.
        lanes: lanes of a producer; more where the stream has more shards.
        record_bytes: size of a full record.
        shards: the fewest shards of a provisioned stream; more where the rate needs them.
        on_demand: whether the stream is on-demand; else its shards are provisioned.
        peak: multiple of the rate that the shards must be able to take.
        arrivals: whether requests come at random or evenly; the tables of invocations assume evenly.
        api: the API before the direct function.
        direct_seconds: billed seconds of the direct function for a request.
        direct_memory: MB of the direct function.
        direct_writes: DynamoDB writes of the direct function for a request.
        direct_reads: DynamoDB reads of the direct function for a request.
        memory: MB of the apply function.
        invocation_seconds: billed seconds for a batch, however small.
        request_seconds: additional billed seconds for each request in a batch.
        item_bytes: bytes of an entity's item, with four of the writers that it remembers.
        objects: number of objects that rules return for a request, stored in S3.
        object_bytes: bytes of each.
        objects_replaced: whether a document names its last request's objects only. Of each item a batch then stores
            those alone.
        object_days: days that an object is kept, until nothing names it and it is swept.
        claim_check: bytes of a request above which its client uploads its data to S3; None if none is uploaded. A
            direct function takes all data in its call.
        upload_days: days that an upload is kept.
        s3_seconds: billed seconds of an S3 call of a function; the apply function makes several at once.
        arm64: whether the functions run on arm64, else on x86-64; with durations of the same.
        archive: whether all requests are archived in S3 too.
        users: users of the stack's pool who sign in within a month, the same in each design.
        plan: the pool's, by which they are billed.
    """

    size: int = 200
    key_bytes: int = 46
    keys: KeyDistribution = field(default_factory=KeyDistribution)
    fold: float | None = None
    clients: int = 1
    producers: int | None = None
    single_replies: float | None = 0.0
    window: int = 5
    batch: int = MAX_BATCH
    linger: float = LINGER
    lanes: int = LANES
    record_bytes: int = RECORD_BYTES
    shards: int = 1
    on_demand: bool = False
    peak: float = 1.0
    arrivals: Literal["random", "even"] = "random"
    api: Api = "http"
    direct_seconds: float = 0.008
    direct_memory: int = 128
    direct_writes: float = 1.0
    direct_reads: float = 0.0
    memory: int = 1769
    invocation_seconds: float = 0.020
    request_seconds: float = 40e-6
    item_bytes: int = 1024
    objects: float = 0.0
    object_bytes: int = 16 * 1024
    objects_replaced: bool = False
    object_days: float = OBJECT_DAYS
    claim_check: int | None = CLAIM_CHECK
    upload_days: float = UPLOAD_DAYS
    s3_seconds: float = 0.020
    arm64: bool = False
    archive: bool = True
    users: int = 0
    plan: Plan = "LITE"

    @property
    def remembered(self) -> int:
        """Writers that an item remembers: four, and as many more as its last KiB has room for."""
        return FEW_WRITERS + -self.item_bytes % 1024 // WRITER_BYTES

    @property
    def is_uploaded(self) -> bool:
        """Whether a request's data is uploaded before it, where it travels by the stream."""
        return self.claim_check is not None and self.size > self.claim_check

    @property
    def streamed_bytes(self) -> int:
        """Bytes of a request's JSON on the stream: with its data, or with its claim check."""
        return CLAIM_CHECK_BYTES + self.key_bytes if self.is_uploaded else self.size

    @property
    def applied_seconds(self) -> float:
        """Billed seconds for each request in a batch, S3 calls included."""
        return self.request_seconds + self.s3_seconds * (self.objects + self.is_uploaded) / S3_AT_ONCE

    def __post_init__(self) -> None:
        if self.lanes & (self.lanes - 1) or not 1 <= self.lanes <= MAX_LANES:
            raise Impossible(f"lanes={self.lanes}: use a power of two from 1 to {MAX_LANES:,}, such as {LANES}")
        if self.claim_check is None and self.size > MAX_REQUEST_BYTES:
            raise Impossible(
                f"a request of {self.size:,} bytes is not possible; {MAX_REQUEST_BYTES:,} are the most: larger data is "
                f"uploaded with a claim check, such as of data above {CLAIM_CHECK:,} bytes"
            )
        if self.objects * self.object_bytes > MAX_OBJECT_BYTES:
            raise Impossible(
                f"{self.objects:g} objects of {self.object_bytes:,} bytes are not possible; those of a request have "
                f"{MAX_OBJECT_BYTES:,} bytes at most"
            )
        for what, value, least, most in (
            ("size of a request", self.size, 1, MAX_DATA_BYTES),
            ("size of a key", self.key_bytes, 1, 4 * MAX_KEY_CHARACTERS),
            ("number of keys", self.keys.count, 1, 10**12),
            ("skew of the keys", self.keys.skew, 0, 5),
            ("share of keys", self.fold or 0.0, 0, 1),
            ("number of clients", self.clients, 1, 10**9),
            ("number of producers", self.producers or 1, 1, 10**9),
            ("number of users", self.users, 0, 10**9),
            ("number of shards", self.shards, 1, 20_000),
            ("share of single replies", self.single_replies or 0.0, 0, 1),
            ("window, in seconds,", self.window, 0, MAX_WINDOW),
            ("batch", self.batch, 1, MAX_BATCH),
            ("linger, in seconds,", self.linger, 0, 3600),
            ("size of a record", self.record_bytes, 1, MAX_RECORD_BYTES),
            ("peak", self.peak, 1, 1000),
            ("direct function's memory, in MB,", self.direct_memory, *MEMORY),
            ("direct function's duration, in seconds,", self.direct_seconds, 0, MAX_SECONDS),
            ("number of direct writes", self.direct_writes, 0, 100),
            ("number of direct reads", self.direct_reads, 0, 100),
            ("apply function's memory, in MB,", self.memory, *MEMORY),
            ("batch's duration, in seconds,", self.invocation_seconds, 0, MAX_SECONDS),
            ("request's duration in a batch, in seconds,", self.request_seconds, 0, MAX_SECONDS),
            ("size of an item", self.item_bytes, 1, MAX_ITEM_BYTES),
            ("number of objects", self.objects, 0, MAX_OBJECTS),
            ("size of an object", self.object_bytes, 1, MAX_OBJECT_BYTES),
            ("time that objects are kept, in days,", self.object_days, 0, 36_500),
            ("size above which data is uploaded", self.claim_check or 1, 1, MAX_REQUEST_BYTES),
            ("time that uploads are kept, in days,", self.upload_days, 0, 36_500),
            ("S3 call's duration, in seconds,", self.s3_seconds, 0, MAX_SECONDS),
        ):
            if not least <= value <= most:
                nearest = least if value < least else most
                raise Impossible(f"a {what} of {value:,.10g} is not possible; the nearest is {nearest:,}")
