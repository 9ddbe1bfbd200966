"""Senders: each takes the same items and sends them its own way.

Room: local platform, I/O. A sender never waits for answers of the stream; the direct one is answered in the response.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from random import getrandbits
from secrets import token_urlsafe
from threading import Event, Lock
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

import msgspec
import urllib3
from botocore.credentials import Credentials

from tidemill import Handle, Producer
from tidemill.contract.request import Reply, Request, encode
from tidemill.errors import GivenUp, StillPending
from tidemill.sending.writer import uuid7
from tidemill_bench.fleet.spread import Spread
from tidemill_load.direct_endpoint import DirectEndpoint
from tidemill_load.results.request_tracker import Item, RequestTracker

if TYPE_CHECKING:
    from types_boto3_kinesis import KinesisClient

log = logging.getLogger(__name__)

TRIES: Final = 6
"""Times that the direct sender sends a request."""

FIRST_PAUSE: Final = 0.1
"""Seconds before it is sent the second time; twice as long each further time."""

TIMEOUT: Final = 30.0
"""Seconds that an HTTP API may take, its function included."""

MOST_SAID: Final = 200
"""Bytes of an answer that is no outcome, which are told."""

_SETTLED = (HTTPStatus.OK, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)


class Sender(Protocol):
    """Sends the items of one part of a load test."""

    @property
    def retries(self) -> int:
        """Times that something was sent again."""

    @property
    def http_requests(self) -> int:
        """Calls made to the HTTP API."""

    def send(self, item: Item) -> None:
        """Send it, in the background; its key's items keep their order."""

    def finish(self, seconds: float) -> bool:
        """Have all of it leave; whether it did within so many seconds."""

    def close(self) -> None:
        """End; requests that have not left are given up."""


class StreamSender:
    """Sends by the SDK's producer.

    Args:
        tracker: where it is written down.
        kinesis: a boto3 Kinesis client.
        stream: the stream's name.
        aggregate: whether many requests share a record.
    """

    http_requests = 0

    def __init__(self, tracker: RequestTracker, kinesis: KinesisClient, stream: str, aggregate: bool) -> None:
        self._tracker = tracker
        self._producer = Producer(stream, kinesis=kinesis, aggregate=aggregate)
        self._open: deque[Handle] = deque()
        """Requests that may yet be given up, in the order sent."""

    @property
    def retries(self) -> int:
        """Records that were sent again."""
        return self._producer.stats().retried_entries

    def send(self, item: Item) -> None:
        """Hand it to the producer."""
        request_id = _new_id()
        request = _request(request_id, item, self._producer.writer, 0)
        self._tracker.sending(request_id, item, len(encode(request)), self._producer.writer)
        handle = self._producer.send(item.cmd, key=item.key, data=item.data, client=item.client, id=request_id)
        self._open.append(handle)
        self._tracker.sent(time.monotonic())
        while self._open and self._open[0].has_ended:
            self._ended(self._open.popleft())

    def finish(self, seconds: float) -> bool:
        """Flush."""
        try:
            self._producer.flush(seconds)
        except StillPending:
            return False
        except GivenUp:
            pass  # each is written down below
        while self._open:
            self._ended(self._open.popleft())
        return True

    def _ended(self, handle: Handle) -> None:
        try:
            handle.result(0)
        except GivenUp as error:
            self._tracker.failed(handle.id, str(error))

    def close(self) -> None:
        """Close the producer at once."""
        with suppress(GivenUp, StillPending):
            self._producer.close(0)


@dataclass(slots=True)
class _Writer:
    """A writer id, and the highest counter that it has used."""

    id: str = field(default_factory=partial(token_urlsafe, 9))
    counter: int = 0


class DirectSender:
    """Sends each request in an HTTP call of its own, signed; those of one key one after the other.

    Args:
        tracker: where it is written down.
        url: where to POST.
        credentials: who signs.
        region: of the API.
        connections: as many requests are under way at most; the others wait their turn.
        producers: writers over which clients are spread.
    """

    def __init__(
        self,
        tracker: RequestTracker,
        url: str,
        credentials: Credentials,
        region: str,
        connections: int,
        producers: int = 1,
    ) -> None:
        self._tracker = tracker
        self._call = SignedPost(DirectEndpoint(url, credentials, region), connections)
        self._spread = Spread(producers)
        self._writers = [_Writer() for _ in range(producers)]
        self._waiting: dict[str, deque[tuple[str, bytes]]] = {}
        self._lock = Lock()
        self._idle = Event()
        self._idle.set()
        self._ending = Event()
        self._pool = ThreadPoolExecutor(connections, "direct")
        self.retries = 0
        self.http_requests = 0

    def send(self, item: Item) -> None:
        """Queue it behind its key's others."""
        request_id, writer = _new_id(), self._writers[self._spread.of(item.client)]
        writer.counter += 1
        payload = encode(_request(request_id, item, writer.id, writer.counter))
        self._tracker.sending(request_id, item, len(payload), writer.id)
        with self._lock:
            queue = self._waiting.get(item.key)
            if queue is not None:
                queue.append((request_id, payload))
                return
            self._waiting[item.key] = deque([(request_id, payload)])
            self._idle.clear()
        self._pool.submit(self._work, item.key)

    def finish(self, seconds: float) -> bool:
        """Wait until all are answered."""
        return self._idle.wait(seconds)

    def close(self) -> None:
        """Stop after the calls that are under way."""
        self._ending.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._call.close()

    def _work(self, key: str) -> None:
        while not self._ending.is_set():
            with self._lock:
                queue = self._waiting[key]
                if not queue:
                    del self._waiting[key]
                    if not self._waiting:
                        self._idle.set()
                    return
                request_id, payload = queue.popleft()
            self._tracker.sent(time.monotonic())
            try:
                self._settle(request_id, payload)
            except Exception as error:  # those behind it must not wait for ever
                log.exception("a direct request failed")
                self._tracker.failed(request_id, repr(error))

    def _settle(self, request_id: str, payload: bytes) -> None:
        for attempt in range(TRIES):
            with self._lock:
                self.http_requests += 1
                self.retries += attempt > 0
            self._ending.wait(FIRST_PAUSE * 2 ** (attempt - 1) if attempt else 0)
            status, body = self._call(payload)
            reply = _reply(status, body)
            if reply:
                self._tracker.answered(request_id, reply.status, time.monotonic())
                return
            if status is not None and status < HTTPStatus.INTERNAL_SERVER_ERROR and status != 429:
                break
        said = body[:MOST_SAID].decode(errors="replace")
        self._tracker.failed(request_id, "no answer" if status is None else f"status {status}: {said}")


class SignedPost:
    """POSTs to the direct endpoint.

    Args:
        endpoint: where to, and who signs.
        connections: kept open.
    """

    def __init__(self, endpoint: DirectEndpoint, connections: int) -> None:
        self._headers = endpoint.headers
        parts = urlsplit(endpoint.address)
        self._path = parts.path
        kind = urllib3.HTTPSConnectionPool if parts.scheme == "https" else urllib3.HTTPConnectionPool
        self._pool = kind(parts.hostname or "", parts.port, maxsize=connections, timeout=TIMEOUT, retries=False)

    def __call__(self, payload: bytes) -> tuple[int | None, bytes]:
        """Status and body of the response; no status where there was none."""
        try:
            response = self._pool.request("POST", self._path, body=payload, headers=self._headers(payload))
        except urllib3.exceptions.HTTPError:
            return None, b""
        return response.status, response.data

    def close(self) -> None:
        """Close its connections."""
        self._pool.close()


def _reply(status: int | None, body: bytes) -> Reply | None:
    """The outcome in a response, if it holds one."""
    try:
        if status == HTTPStatus.ALREADY_REPORTED:  # of a call whose answer was lost
            return Reply(msgspec.json.decode(body)["id"], "accepted")
        return msgspec.json.decode(body, type=Reply) if status in _SETTLED else None
    except (msgspec.MsgspecError, KeyError, TypeError):
        return None


def _new_id() -> str:
    return uuid7(time.time_ns() // 1_000_000, getrandbits(74))


def _request(request_id: str, item: Item, writer: str, counter: int) -> Request:
    return Request(
        id=request_id,
        cmd=item.cmd,
        key=item.key,
        client=item.client,
        writer=writer,
        counter=counter,
        at=time.time_ns() // 1_000_000,
        data=item.data,
    )
