"""The producer: the class that applications call. `lifetime.py` connects and closes it, `keeper.py` drives its core.

Room: SDK, I/O. All decisions are made in `scheduler.py` and `core.py`. One idea: what applications call, and the three
things that it waits for: room, the keeper, and the upload of large data.

This module must not use locks: signal handlers, log handlers, observers and `__del__` may call `send`, `flush`, `close`
and handles while they interrupt one of those. A request is taken by one atomic step or not at all; the keeper's thread
does all other work on the core. Each waiting thread waits for a lock of its own (`waiting.py`).
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic, time_ns
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from tidemill.content.bucket import named
from tidemill.contract.request import decode
from tidemill.contract.validation import UnsendableRequest, to_payload
from tidemill.delivery.inbox import HEAD, WAKING_SIZE
from tidemill.errors import BufferFull, GivenUp, ProducerClosed, StillPending
from tidemill.handle import AwaitedHandle, Handle
from tidemill.lifetime import Flush, Lifetime
from tidemill.runtime.processes import Unique
from tidemill.sending.claims import ToUpload, check_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self, Unpack

    from types_boto3_kinesis import KinesisClient
    from types_boto3_s3 import S3Client

    from tidemill.content.bucket import Bucket
    from tidemill.content.photo_source import Photo
    from tidemill.content.upload import Uploaded
    from tidemill.contract.request import ClaimCheck, Document, Reply, Request
    from tidemill.delivery.keeper import Keeper
    from tidemill.delivery.observer import Observer
    from tidemill.delivery.settings import Settings
    from tidemill.replies.reader import ReplySource
    from tidemill.runtime.waiting import News
    from tidemill.sending.tally import Stats

T = TypeVar("T")


class Producer(Unique):
    """Sends requests to a stream: aggregated, in order per key, at least once. Thread-safe.

        with Producer("requests", client="alice") as producer:
            producer.send("content.view", key="content/42")

    Requests that were given up are logged. `flush`, `close` and the end of the block raise an error for them, unless
    `Handle.result` has raised it.

    Args:
        stream: the stream's name or ARN.
        client: the sender: `Request.client` of all requests that name no other.
        kinesis: a boto3 Kinesis client. None makes one in the ARN's region, else AWS_REGION's; AWS_ENDPOINT_URL holds.
            Give it `Config(retries={"total_max_attempts": 1})`: of one that retries by itself every record is marked as
            one that may be a repeat, which consumers then look up.
        replies: the URL of the client's queue of replies, or another source of them: for `send(reply=True)` and
            `request`. The producer takes all of its messages.
        s3: a boto3 S3 client for the bucket. None makes one as for Kinesis; AWS_ENDPOINT_URL_S3 holds.
        bucket: the content bucket's name. Large data is uploaded there first, under the client's name, by `send`.
        claim_check: bytes of data's JSON above which data is large; without a bucket it counts for nothing.
        spool: a `Spool`: `send` writes each request into its file first, and the next producer with this spool sends
            them if this one is killed. Calls that fail for good, such as without credentials, are then repeated too.
        signer: signs each request, such as `tidemill.Signer`.
        tracer: OpenTelemetry's, such as `opentelemetry.trace.get_tracer("shop")`: makes spans of the requests whose
            trace is sampled, and the functions go on with them. Needs the extra `otel`.
        observer: is told of every call, such as `LogMetrics()`.
        ttl: seconds after which an unacknowledged request is given up, unless `send` sets its own.
        when_full: what `send` does when too much is pending: "wait", "raise" (BufferFull) or "drop_oldest".
        max_pending_bytes: bytes of pending requests from which `when_full` applies. A spool also has its own limit.
        aggregate: False makes every request a record of its own, for streams whose readers cannot unpack. A key then
            has one request in flight.
        lanes: number of lanes, a power of two up to 1,024: at least the number of shards. 64, or 512 unaggregated.
        record_bytes: size of a full record.
        linger: seconds that a request may wait for others to share its record.
        close_timeout: seconds that closing takes at most, and a second or two: by `close`, the end of the block, or at
            exit. Requests not acknowledged by then are counted in an error, and given up or kept by the spool.
        writer: the writer id; None makes one of 12 characters. An id that was used before needs `counter`, because
            consumers take a request with a used counter for a repeat. The spool keeps both.
        counter: the highest counter that the writer has used.
        check: whether to check the stream first. A caller who may not describe the stream passes the check.

    Raises:
        Misconfigured: there is no region, no credentials or no such stream, or the stream keeps no order.
        TypeError: `client` is not a str.
        ValueError: an argument is out of its range, or the spool is closed.
        SpoolInUse: another producer has the spool.
    """

    def __init__(
        self,
        stream: str,
        *,
        kinesis: KinesisClient | None = None,
        replies: str | ReplySource | None = None,
        s3: S3Client | None = None,
        observer: Observer | None = None,
        check: bool = True,
        **settings: Unpack[Settings],
    ) -> None:
        self._lifetime = Lifetime(observer, settings)
        self._lifetime.connect(stream, kinesis, replies, s3, check)

    @property
    def writer(self) -> str:
        """The writer id of its requests."""
        return self._lifetime.core.writer.id

    def stats(self) -> Stats:
        """The counts of what it has done so far.

        If a slow signer or disk blocks its thread for more than a second, requests not taken yet are missing.
        """
        return self._lifetime.stats()

    def send(  # noqa: C901 - a call for each part would be measurable
        self,
        cmd: str,
        *,
        key: str,
        data: Document | None = None,
        client: str | None = None,
        id: str | None = None,  # noqa: A002 - the contract's own name
        at: int | None = None,
        ttl: float | None = None,
        reply: bool = False,
    ) -> Handle:
        """Buffers a request for sending, and returns. If too much is pending, `when_full` decides.

        If the producer has a bucket and the data is large, it is uploaded before.

        Args:
            cmd: the command, such as `content.view`.
            key: the ordering key, which names the entity: 1 to 256 characters.
            data: the command's data, plain JSON; with a bucket up to 5 MiB.
            client: the sender; None is the producer's client.
            id: the request's id; None makes a UUIDv7.
            at: the client's clock in milliseconds since 1970; None is now.
            ttl: seconds after which the request is given up if it is not acknowledged; None is the producer's.
            reply: whether `Handle.reply` will be called.

        Raises:
            UnsendableRequest: the contract does not allow the request; names the field.
            BufferFull: too much is pending, and `when_full` is "raise".
            ProducerClosed: the producer has been closed, or the process is ending and has closed all producers.
            RuntimeError: a reply is wanted, and the producer has no source of replies.
            NotUploaded: large data could not be uploaded, and the request is not accepted; names the remedy.
            SpoolBroken: the spool cannot be written; the request is not accepted.
        """
        lifetime = self._lifetime
        if not lifetime.is_open:
            lifetime.open()
        listener = lifetime.listens() if reply else None
        if at is None:
            at = time_ns() // 1_000_000
        keeper = lifetime.keeper
        core, inbox = keeper.core, keeper.inbox
        traces = core.traces
        sent = None if traces is None else traces.begin(cmd)
        traceparent = None if sent is None else sent.traceparent
        try:
            try:
                made, before, behind = core.writer.draft(cmd, key, data, client, id, at, traceparent)
            except ToUpload as large:
                ref = self._upload(large)
                made, before, behind = core.writer.draft(cmd, key, ref, client, id, at, traceparent)
            if type(key) is not str:
                key = str.__str__(key)
            now = monotonic()
            if ttl is None:
                ttl = core.ttl
            elif not ttl > 0:
                raise UnsendableRequest("ttl", "use seconds, more than 0")
            if core.tally.pending_bytes + inbox.size >= core.max_pending_bytes:
                self._wait_for_room(keeper)
            if listener is None:
                handle = Handle(made, None, 0, keeper)
            else:
                handle = AwaitedHandle(made, None, 0, keeper, listener, sent)
                listener.expect(handle)
            if sent is not None:
                sent.follow(handle)
            if core.is_plain or keeper.news.must_not_wait:
                inbox.put((handle, key, before, behind, now, now + ttl))  # from here on the request is taken
                inbox.size += HEAD + len(behind)
                if keeper.end is not None or (inbox.naps and inbox.size > WAKING_SIZE):
                    keeper.look_after(handle)
            else:
                self._ask_until(keeper, partial(inbox.keep, (handle, key, before, behind, now, now + ttl)))
        except Exception as error:
            if sent is not None:
                sent.fail(error)
            raise
        return handle

    def put(self, request: Request) -> Handle:
        """Replays a request: sends it with its own id, writer and counter.

        If it may be on the stream already, its field `tried` must say since when at the earliest
        (`OutcomeUnknown.tried`; 0: unknown), for without it consumers take it for a first attempt. It is sent marked
        then, as what the producer sends again by itself.

        Raises:
            UnsendableRequest, BufferFull, ProducerClosed, NotUploaded, SpoolBroken: as `send` raises them.
        """
        lifetime = self._lifetime
        if not lifetime.is_open:
            lifetime.open()
        keeper = lifetime.keeper
        if keeper.core.claim_check is not None:
            try:
                check_size(request, keeper.core.claim_check)
            except ToUpload as large:
                request = replace(request, data={}, ref=self._upload(large))
        payload = to_payload(request)
        request = decode(payload)  # decoded again, so that the keeper sees plain values only
        taken = self._ask_until(keeper, lambda: keeper.core.put(request, monotonic(), payload))
        return Handle(*taken, keeper)

    def request(self, cmd: str, *, key: str, data: Document | None = None, timeout: float | None = None) -> Reply:
        """Sends a request and waits `timeout` seconds at most for its reply; then gives the request up if it can.

        Raises:
            StillPending: no reply came in time.
            UnsendableRequest, BufferFull, ProducerClosed, NotAccepted: as `send` and `Handle.reply` raise them.
        """
        handle = self.send(cmd, key=key, data=data, ttl=timeout, reply=True)
        try:
            return handle.reply(timeout)
        except StillPending:
            self._lifetime.listens().give_up(handle)
            raise

    def upload(
        self,
        photo: Photo,
        *,
        key: str,
        content_type: str | None = None,
        with_place: bool = False,
        progress: Callable[[int, int, str | None], None] | None = None,
        resume: str | None = None,
    ) -> Uploaded:
        """Uploads a photo to the content bucket, under the producer's client and a key, and waits until it is there.

            producer.upload("beach.jpg", key="content/42")
            producer.send("content.publish", key="content/42", data={"title": "The beach"})

        A photo of more than 8 MiB goes in parts. An upload that was interrupted goes on with its token, in another
        process too, within a day.

        Args:
            photo: the file's path, or its bytes: JPEG, PNG, GIF, WebP, BMP, HEIC or AVIF, 50 MiB at most.
            key: the ordering key of the entity that the photo is of.
            content_type: the type that the file must have, such as `image/png`; None takes any of those.
            with_place: whether those who see the photo may be told where it was taken.
            progress: is called with the bytes that S3 has, those of the photo, and the token of an upload in parts.
            resume: the token of an earlier attempt. Parts that S3 has are not sent again, if they are as in the file.

        Raises:
            UnfitFile: no thumbnails can be made of it, or it changed while it was read; names the remedy.
            NotUploaded: S3 does not have it, or the producer was closed; names the remedy, and has the token.
            UnsendableRequest: the producer has no client, or client and key make no name of an object.
            ValueError: `resume` is no token.
            RuntimeError: the producer has no bucket, or has been closed (ProducerClosed).
            OSError: the file cannot be read.
        """
        lifetime = self._lifetime
        bucket, news = self._uploads()
        upload = bucket.upload(photo, key, content_type, with_place, resume, news.tell)
        return bucket.upload_apart(upload, news, lambda: lifetime.is_closed, progress)

    def flush(self, timeout: float | None = None) -> None:
        """Sends all buffered requests and waits until they are acknowledged.

        Args:
            timeout: seconds to wait at most; None waits without limit.

        Raises:
            StillPending: it took longer; has the number of unacknowledged requests.
            NotAccepted, OutcomeUnknown: requests were given up, and no handle's `result` has raised that yet.
        """
        Flush(self._lifetime, inf if timeout is None else monotonic() + timeout).wait()

    def close(self, timeout: float | None = None) -> None:
        """Flushes and ends. Requests not acknowledged after `timeout` seconds are given up, or stay in the spool.

        Args:
            timeout: seconds; None takes `close_timeout`, `inf` waits without limit.

        Raises:
            StillPending: requests were not acknowledged in time; says how many were given up or kept.
            NotAccepted, OutcomeUnknown: requests were given up, and no handle's `result` has raised that yet.
        """
        self._lifetime.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the producer. If the block raised an error, unsent requests become a note on that error."""
        try:
            self._lifetime.close(None, error)
        except (GivenUp, StillPending, ProducerClosed) as unsent:
            if error is None:
                raise
            with suppress(TypeError):  # the exception's `__notes__` is not a list
                error.add_note(f"and the producer: {unsent}")

    def _uploads(self) -> tuple[Bucket, News]:
        """The content bucket for an upload that is waited for, and what tells of its end."""
        lifetime = self._lifetime
        if not lifetime.is_open:
            lifetime.open()
        news, bucket = lifetime.keeper.news, named(lifetime.bucket)
        news.check()
        return bucket, news

    def _upload(self, large: ToUpload) -> ClaimCheck:
        self._check_room()
        return named(self._lifetime.bucket).store_apart(large, self._lifetime.keeper.news)

    def _ask_until(self, keeper: Keeper, work: Callable[[], T | None]) -> T:
        """Has the keeper call `work` until it returns something: waits for room between the tries."""
        while True:
            told = keeper.news.told
            taken = keeper.ask(work)
            if taken:
                return taken
            keeper.news.wait_for(lambda: keeper.news.told != told)  # noqa: B023
            if not self._lifetime.is_open:
                self._lifetime.open()

    def _check_room(self) -> None:
        """Raises BufferFull before an upload rather than after it. Who waits or drops requests does so afterwards."""
        core = self._lifetime.keeper.core
        if core.raises and not self._lifetime.keeper.news.must_not_wait:
            self._lifetime.keeper.ask(core.make_room)

    def _wait_for_room(self, keeper: Keeper) -> None:
        if not keeper.news.must_not_wait:
            self._ask_until(keeper, keeper.core.make_room)
        elif not keeper.core.drops:
            raise BufferFull("there is no room, and a producer's own threads do not wait for it")
