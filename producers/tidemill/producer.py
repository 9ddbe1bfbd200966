"""The producer: an outbox with a lock, a thread and a Kinesis client.

Room: SDK, I/O. The only boto3 there is on the sending side; every decision is `outbox.py`'s.
"""

from __future__ import annotations

import atexit
import logging
from functools import partial
from math import inf
from random import Random
from secrets import token_urlsafe
from threading import Condition, Lock, Thread
from time import monotonic, time_ns
from typing import TYPE_CHECKING

from tidemill.buffer import RECORD_BYTES, THROTTLED, Acknowledged, Call, Refused
from tidemill.lane import LANES
from tidemill.outbox import LINGER, Outbox, Stats

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from types_boto3_kinesis import KinesisClient
    from types_boto3_kinesis.type_defs import PutRecordsResultEntryTypeDef

    from tidemill.buffer import Outcome, Record
    from tidemill.request import Document, Request

MAX_PENDING_BYTES = 64 * 1024 * 1024
"""Most bytes that wait for their acknowledgement before `send` waits too."""

LONGEST_SLEEP = 3600.0
"""Longest sleep in seconds of the sender's thread: locks cannot wait forever."""

AGAIN = THROTTLED | {
    "InternalFailure",
    "InternalServerError",
    "LimitExceededException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
}
"""Error codes after which the same bytes may be accepted, besides every answer of HTTP status 500 and above.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
"""

REMEDIES = {
    "AccessDeniedException": "allow the caller kinesis:PutRecords on the stream",
    "ExpiredTokenException": "get new credentials and make a new producer",
    "InvalidArgumentException": "compare record_bytes with the stream's record limit",
    "InvalidSignatureException": "compare this machine's clock and the credentials",
    "NoCredentialsError": "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "ResourceNotFoundException": "compare the stream's name, AWS_REGION and AWS_ENDPOINT_URL; or create it",
    "UnrecognizedClientException": "compare the credentials and AWS_ENDPOINT_URL",
    "Closed": "close without a timeout, or with a longer one",
}
"""What to do about an error that no retry can cure."""

_log = logging.getLogger("tidemill")


class NotAccepted(Exception):
    """The request was given up: it is not on the stream, as far as is known.

    Attributes:
        code: the service's error code, or the name of the exception.
    """

    def __init__(self, refused: Refused) -> None:
        remedy = REMEDIES.get(refused.code)
        super().__init__(f"{refused.code}: {refused.message}" + (f" ({remedy})" if remedy else ""))
        self.code = refused.code


class StillPending(TimeoutError):
    """The time is over and requests are still on their way: nothing is lost, nothing is certain.

    Attributes:
        pending: how many.
    """

    def __init__(self, pending: int) -> None:
        super().__init__(f"{pending} requests are not acknowledged yet")
        self.pending = pending


class ProducerClosed(RuntimeError):
    """The producer has been closed: it takes no more requests."""


class Handle:
    """A request on its way.

    Attributes:
        id: the request's id.
    """

    __slots__ = ("_done", "_record", "id")

    def __init__(self, id: str, record: Record, done: Condition) -> None:  # noqa: A002 - the contract's name
        self.id = id
        self._record = record
        self._done = done

    def done(self) -> bool:
        """Whether it has been acknowledged or given up."""
        return self._record.outcome is not None

    def result(self, timeout: float | None = None) -> Acknowledged:
        """Waits until the request is stored: the shard and the sequence number of its record.

        Args:
            timeout: seconds to wait at most; None waits for as long as it takes.

        Raises:
            StillPending: it took longer.
            NotAccepted: it was given up.
        """
        record = self._record
        if record.outcome is None:
            with self._done:
                self._done.wait_for(self.done, timeout)
        outcome = record.outcome
        if outcome is None:
            raise StillPending(1)
        if isinstance(outcome, Refused):
            record.reported = True
            raise NotAccepted(outcome)
        return outcome


class Producer:
    """Sends requests to a stream: aggregated, in the order of each key, at least once. Safe for threads.

        with Producer("requests", client="alice") as producer:
            producer.send("content.view", key="content/42")

    What was given up, and not asked for by `Handle.result`, is raised by `flush`, `close` and the end of the
    block.

    Args:
        stream: the stream's name or ARN.
        client: who sends: `Request.client` of all requests that name no other.
        kinesis: a boto3 Kinesis client. None makes one, so AWS_ENDPOINT_URL and AWS_REGION hold.
        lanes: number of lanes, a power of two up to 1,024: at least the number of shards.
        record_bytes: size of a full record.
        linger: seconds that a request may wait for company.
        max_pending_bytes: when more than that waits for its acknowledgement, `send` waits.
        writer: the writer id; None makes one of 12 characters. One that has been used before needs `counter`:
            consumers take what comes under a counter already used for a repeat.
        counter: the highest counter that the writer has used.

    Raises:
        TypeError: `client` is not a str.
        ValueError: an argument out of its range.
        botocore.exceptions.BotoCoreError: no client can be made, such as without a region.
    """

    def __init__(
        self,
        stream: str,
        *,
        client: str | None = None,
        kinesis: KinesisClient | None = None,
        lanes: int = LANES,
        record_bytes: int = RECORD_BYTES,
        linger: float = LINGER,
        max_pending_bytes: int = MAX_PENDING_BYTES,
        writer: str | None = None,
        counter: int = 0,
    ) -> None:
        sender: object = client
        if not isinstance(sender, str | None):
            kind = type(sender).__name__
            raise TypeError(f"client names the sender, as a str, not {kind}; pass a boto3 client as kinesis=")
        if max_pending_bytes < 1:
            raise ValueError(f"max_pending_bytes={max_pending_bytes}: use 1 or more")
        self._client = client
        self._outbox = Outbox(
            writer or token_urlsafe(9),
            Random(),
            lanes=lanes,
            record_bytes=record_bytes,
            linger=linger,
            counter=counter,
        )
        self._max_pending_bytes = max_pending_bytes
        self._owns_kinesis = kinesis is None
        self._kinesis = kinesis or _make_kinesis()
        if stream.startswith("arn:"):
            self._put_records = partial(self._kinesis.put_records, StreamARN=stream)
        else:
            self._put_records = partial(self._kinesis.put_records, StreamName=stream)
        self._lock = Lock()
        self._work = Condition(self._lock)
        """There may be a call to make."""
        self._done = Condition(self._lock)
        """Some requests have been acknowledged or given up."""
        self._thread: Thread | None = None
        self._sleeps_until = -inf
        self._closed = self._stopping = False
        self._refusal: Record | None = None
        self._refusals = 0

    @property
    def writer(self) -> str:
        """The writer id of its requests."""
        return self._outbox.writer

    @property
    def stats(self) -> Stats:
        """What it has done so far."""
        with self._lock:
            return self._outbox.stats

    def send(
        self,
        cmd: str,
        *,
        key: str,
        data: Document | None = None,
        client: str | None = None,
        id: str | None = None,  # noqa: A002 - the contract's own name
        at: int | None = None,
    ) -> Handle:
        """Sends a request: buffers it and returns. Waits while too much is pending.

        Args:
            cmd: the command, such as `content.view`.
            key: the ordering key, which names the entity: 1 to 256 characters.
            data: the command's data, plain JSON.
            client: who sends it, if not the producer's client.
            id: its id, if it already has one; else a UUIDv7.
            at: the client's clock in milliseconds since 1970, if not now.

        Raises:
            UnsendableRequest: the contract does not allow it; names the field.
            ProducerClosed: the producer has been closed.
        """
        with self._lock:
            outbox = self._ready()
            id_, record = outbox.send(
                cmd,
                key=key,
                data={} if data is None else data,
                client=self._client if client is None else client,
                id=id,
                at=time_ns() // 1_000_000 if at is None else at,
                now=monotonic(),
            )
            if outbox.due < self._sleeps_until:
                self._wake()
        return Handle(id_, record, self._done)

    def put(self, request: Request) -> Handle:
        """Sends a request as it is, with its own id, writer and counter: a replay.

        Raises:
            UnsendableRequest: the contract does not allow it; names the field.
            ProducerClosed: the producer has been closed.
        """
        with self._lock:
            outbox = self._ready()
            record = outbox.add(request, monotonic())
            if outbox.due < self._sleeps_until:
                self._wake()
        return Handle(request.id, record, self._done)

    def flush(self, timeout: float | None = None) -> None:
        """Sends what has been buffered and waits until it is acknowledged.

        Args:
            timeout: seconds to wait at most; None waits for as long as it takes.

        Raises:
            StillPending: it took longer; says how many requests are not acknowledged.
            NotAccepted: requests were given up, and nobody has asked their handles.
        """
        with self._lock:
            records = self._outbox.flush(monotonic())
            self._wake()
            if not self._done.wait_for(lambda: all(record.outcome for record in records), timeout):
                raise StillPending(sum(record.count for record in records if not record.outcome))
            refusal, self._refusal = self._refusal, None
        if refusal and not refusal.reported and isinstance(refusal.outcome, Refused):
            raise NotAccepted(refusal.outcome)

    def close(self, timeout: float | None = None) -> None:
        """Flushes and ends. What is not acknowledged after `timeout` seconds is given up.

        Raises:
            StillPending: something was not acknowledged in time.
            NotAccepted: requests were given up, and nobody has asked their handles.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._done.notify_all()
        try:
            self.flush(timeout)
        finally:
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except NotAccepted:
            if error is None:
                raise  # else it is in the log, and the block's own error matters more

    # ---- with the lock held

    def _ready(self) -> Outbox:
        """The outbox, as soon as it has room."""
        outbox = self._outbox
        if outbox.pending_bytes >= self._max_pending_bytes:
            self._done.wait_for(lambda: self._closed or outbox.pending_bytes < self._max_pending_bytes)
        if self._closed:
            raise ProducerClosed("the producer is closed; make a new one")
        if self._thread is None:
            self._thread = Thread(target=self._run, name="tidemill-producer", daemon=True)
            self._thread.start()
            atexit.register(self.close)  # one that nobody closed still sends what it has
        return outbox

    def _wake(self) -> None:
        """Wakes the sender's thread, once: it may take a while to get its turn."""
        self._sleeps_until = -inf
        self._work.notify()

    def _wait_for_call(self) -> Call | None:
        """The next call; None to end."""
        while not self._stopping:
            now = monotonic()
            call = self._outbox.next_call(now)
            if isinstance(call, Call):
                return call
            self._sleeps_until = call
            self._work.wait(min(call - now, LONGEST_SLEEP))
            self._sleeps_until = -inf
        return None

    def _settle(self, call: Call, answer: Sequence[Outcome] | Refused) -> None:
        if isinstance(answer, Refused):
            self._outbox.failed(call, answer, monotonic())
        else:
            self._outbox.acknowledged(call, answer, monotonic())
        for record in call.records:
            if isinstance(record.outcome, Refused) and (self._refusal is None or self._refusal.reported):
                self._refusal = record
        self._done.notify_all()

    # ---- the sender's thread

    def _run(self) -> None:
        while True:
            with self._lock:
                call = self._wait_for_call()
            if call is None:
                return
            answer = self._put(call)
            self._warn(call, answer)
            with self._lock:
                self._settle(call, answer)

    def _put(self, call: Call) -> Sequence[Outcome] | Refused:
        try:
            answer = self._put_records(
                Records=[
                    {
                        "Data": record.data,
                        "PartitionKey": record.partition_key,
                        "ExplicitHashKey": record.hash_key,
                    }
                    for record in call.records
                ],
            )
            return [_outcome(entry) for entry in answer["Records"]]
        except Exception as error:  # whatever it is, the handles have to hear of it
            return _refusal(error)

    def _warn(self, call: Call, answer: Sequence[Outcome] | Refused) -> None:
        """Says what goes wrong, so that waiting is not silent."""
        refused = answer if isinstance(answer, Refused) else next(filter(_is_refused, answer), None)
        if not isinstance(refused, Refused):
            return
        if not refused.again:
            _log.error("requests are lost: %s", NotAccepted(refused))
        elif refused.code not in THROTTLED:
            _log.warning("%s: %s; trying %d records again", refused.code, refused.message, call.count)

    # ---- the end

    def _stop(self) -> None:
        with self._lock:
            self._stopping = True
            self._wake()
        if self._thread is not None:
            self._thread.join()
            atexit.unregister(self.close)
        with self._lock:
            self._outbox.abandon(Refused("Closed", "the producer was closed before it was acknowledged", again=False))
            self._done.notify_all()
        if self._owns_kinesis:
            self._kinesis.close()


def _make_kinesis() -> KinesisClient:
    import boto3  # here, for `import tidemill` to be quick
    from botocore.config import Config

    return boto3.client(
        "kinesis",
        config=Config(
            # The outbox retries, lane by lane and failed entries only. Retries beneath it would repeat the
            # whole call, wait in the sender's thread, and multiply with its own.
            retries={"total_max_attempts": 1, "mode": "standard"},
            # A quarter of a call's time; what is sent has been checked one by one.
            parameter_validation=False,
            user_agent=f"tidemill boto3/{boto3.__version__}",
            connect_timeout=5,
            read_timeout=20,
            tcp_keepalive=True,
        ),
    )


def _outcome(entry: PutRecordsResultEntryTypeDef) -> Outcome:
    code = entry.get("ErrorCode")
    if code:
        return Refused(code, entry.get("ErrorMessage", ""), again=code in AGAIN)
    return Acknowledged(entry["ShardId"], entry["SequenceNumber"])


def _is_refused(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused)


def _refusal(error: Exception) -> Refused:
    """What an exception of boto3 means for the call."""
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError

    if isinstance(error, boto.ClientError):
        code = error.response["Error"].get("Code", "Unknown")
        status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        message = error.response["Error"].get("Message", "")
        return Refused(code, message, again=status >= 500 or status == 429 or code in AGAIN)
    # No answer, or half of one: the records may be stored or not.
    lost = (boto.ConnectionError, boto.HTTPClientError, boto.CredentialRetrievalError, ResponseParserError, OSError)
    return Refused(type(error).__name__, str(error), again=isinstance(error, lost))
