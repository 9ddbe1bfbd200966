"""Subscriptions to shards (enhanced fan-out): the events, and the end of a closed shard.

Room: local platform. Making an event is pure; `install` fits `Subscriptions` into the emulator. The emulator's own
subscriptions send all records of a shard at once, and never end when it is closed.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tidemill_local.patches.cbor import event_message
from tidemill_local.patches.kinesis.api import Refused, Request, Resolve, Stream, found
from tidemill_local.patches.kinesis.shard_iterators import (
    MOST_RECORDS,
    behind_latest,
    page,
    readable,
    shard_of,
    start_after,
)
from tidemill_local.patches.kinesis.shard_state import children, is_open
from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
    Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
    Run: TypeAlias = Callable[[Send, Receive], Awaitable[None]]

SECONDS = 300
"""Lifetime of a subscription: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html."""

TAKEOVER_SECONDS = 5
"""Age of a subscription below which another for the same shard and consumer is refused; later it takes over."""

IDLE_SECONDS = 5.0
"""Seconds without records after which an empty event is sent."""

LOOK_SECONDS = 0.1

_EVENTS = "application/vnd.amazon.eventstream"


def install() -> None:
    """Have a subscription send its records in pages, and end with its shard.

    Needs of the emulator:
        kinesis._subscribe_to_shard: answers SubscribeToShard; replaced.
        kinesis._subscriptions: the subscriptions that go on, which it forgets when it is reset.
        kinesis._consumer_from_arn: finds a consumer.
        kinesis.StreamingResponse: makes an answer that is sent bit by bit.
        kinesis._resolve_stream: finds the stream that a request names.
        kinesis._expire_records: drops what is past a stream's retention.
    """
    from ministack.services import kinesis

    require(kinesis, "_subscribe_to_shard", "_subscriptions", "_consumer_from_arn", "StreamingResponse")
    require(kinesis, "_resolve_stream", "_expire_records")
    kinesis._subscribe_to_shard = Subscriptions(
        kinesis._resolve_stream,
        kinesis._consumer_from_arn,
        kinesis._expire_records,
        kinesis._subscriptions,
        kinesis.StreamingResponse,
        time.time,
    ).subscribe


@dataclass(frozen=True, slots=True)
class Step:
    """An event, and the reader's position after it.

    Attributes:
        event: a SubscribeToShardEvent.
        after: the sequence number of the last record that was sent; empty before the first.
        ended: whether the shard is closed and read to its end, so that no event follows.
    """

    event: dict[str, Any]
    after: str
    ended: bool = False


def next_step(stream: Stream, shard_id: str, after: str, now: float) -> Step:
    """The next event for a subscriber, with or without records.

    The last event has the shard's children and no ContinuationSequenceNumber, by which the KCL recognises the end.

    Args:
        stream: the stream as the emulator holds it.
        shard_id: the shard's id; it is no longer in the stream if it has expired.
        after: the last record that the subscriber has; empty for none.
        now: seconds since 1970.
    """
    shard = stream["shards"].get(shard_id)
    records = shard["records"] if shard else []
    first, last, _ = page(records, after, MOST_RECORDS)
    if first == last and (shard is None or not is_open(shard)):
        ending: dict[str, Any] = {"Records": [], "ContinuationSequenceNumber": None, "MillisBehindLatest": 0}
        return Step({**ending, "ChildShards": children(stream, shard_id)}, after, ended=True)
    if first != last:
        after = records[last - 1]["SequenceNumber"]
    event = {
        "Records": readable(stream, records[first:last]),
        "ContinuationSequenceNumber": after or shard["starting_sequence_number"],
        "MillisBehindLatest": behind_latest(records, last, now),
    }
    return Step(event, after)


def message(kind: str, name: str, payload: dict[str, Any] | str) -> bytes:
    """A message of an event stream: its kind, `event` or `exception`, the name of its type, and its payload."""
    headers = {":message-type": kind, f":{kind}-type": name, ":content-type": "application/json"}
    encoded = b"".join(
        bytes([len(key)]) + key.encode() + b"\x07" + len(value).to_bytes(2, "big") + value.encode()
        for key, value in headers.items()
    )
    told = {"message": payload} if isinstance(payload, str) else payload
    return event_message(encoded, json.dumps(told).encode())


@dataclass(frozen=True, slots=True)
class _Subscription:
    """A live subscription, with the caller's context, in which names are resolved."""

    consumer: str
    stream: Stream
    shard_id: str
    after: str
    began: float
    context: Context

    @property
    def key(self) -> tuple[str, str]:
        return self.consumer, self.shard_id


class Subscriptions:
    """The handler of SubscribeToShard.

    Args:
        resolve: finds the stream that a request names.
        consumer: finds a consumer by its ARN.
        expire: drops the records past the stream's retention.
        live: the latest subscription of each consumer and shard, which the emulator forgets when it is reset.
        streaming: makes an answer that is sent bit by bit.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        resolve: Resolve,
        consumer: Callable[[str], dict[str, Any] | None],
        expire: Callable[[Stream], None],
        live: MutableMapping[tuple[str, str], Any],
        streaming: Callable[[Run], Any],
        clock: Callable[[], float],
    ) -> None:
        self._resolve = resolve
        self._consumer = consumer
        self._expire = expire
        self._live = live
        self._streaming = streaming
        self._clock = clock

    def subscribe(self, request: Request, _is_cbor: bool = False) -> Any:
        """The answer to SubscribeToShard; cbor.py translates it to CBOR."""
        try:
            began = self._begun(request)
        except Refused as refused:
            return refused.answer()
        return 200, {"Content-Type": _EVENTS}, self._streaming(lambda send, receive: self._run(began, send, receive))

    def _begun(self, request: Request) -> _Subscription:
        arn, shard_id = request.get("ConsumerARN") or "", request.get("ShardId") or ""
        consumer = self._consumer(arn)
        if consumer is None:
            raise Refused("ResourceNotFoundException", f"Consumer {arn} not found.")
        if consumer.get("ConsumerStatus") != "ACTIVE":
            raise Refused("ResourceInUseException", f"Consumer {arn} is not ACTIVE.")
        stream, now = found(self._resolve, {"StreamARN": consumer["StreamARN"]}), self._clock()
        self._expire(stream)
        position = request.get("StartingPosition") or {}
        start = position.get("Type", ""), position.get("SequenceNumber", ""), position.get("Timestamp")
        after = start_after(shard_of(stream, shard_id)["records"], *start, now)
        began = _Subscription(arn, stream, shard_id, after, now, copy_context())
        if (other := self._live.get(began.key)) and now - other.began < TAKEOVER_SECONDS:
            raise Refused("ResourceInUseException", f"Another active subscription exists for {arn} and {shard_id}.")
        self._live[began.key] = began
        return began

    async def _run(self, subscription: _Subscription, send: Send, receive: Receive) -> None:
        """Send events until the subscriber disconnects, the subscription expires, or the shard ends."""

        async def say(told: bytes, *, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": told, "more_body": more})

        gone = asyncio.create_task(_hung_up(receive))
        try:
            await say(message("event", "initial-response", {}))
            await self._send_events(subscription, say, gone)
        finally:
            if self._live.get(subscription.key) is subscription:
                del self._live[subscription.key]
            gone.cancel()
            with suppress(Exception):  # the subscriber may have disconnected
                await say(b"", more=False)

    async def _send_events(self, subscription: _Subscription, say: Callable[[bytes], Any], gone: Any) -> None:
        after, spoke = subscription.after, 0.0
        while not gone.done() and (now := self._clock()) < subscription.began + SECONDS:
            if (why := self._broken(subscription)) is not None:
                await say(message("exception", why.code, str(why)))
                return
            step = next_step(subscription.stream, subscription.shard_id, after, now)
            if step.ended or step.event["Records"] or now - spoke >= IDLE_SECONDS:
                await say(message("event", "SubscribeToShardEvent", step.event))
                after, spoke = step.after, now
            if step.ended:
                return
            if not step.event["MillisBehindLatest"]:
                await asyncio.wait({gone}, timeout=LOOK_SECONDS)

    def _broken(self, subscription: _Subscription) -> Refused | None:
        """The reason why a subscription ends early: another has taken over, or its stream or consumer is gone."""
        if self._live.get(subscription.key) is not subscription:
            return Refused("ResourceInUseException", f"Subscription to {subscription.shard_id} was taken over.")
        stream, inside = subscription.stream, subscription.context.run
        _, current = inside(self._resolve, {"StreamARN": stream["StreamARN"]})
        if current is not stream or inside(self._consumer, subscription.consumer) is None:
            return Refused("ResourceNotFoundException", f"{subscription.consumer} or its stream is gone.")
        return None


async def _hung_up(receive: Receive) -> None:
    while (await receive()).get("type") != "http.disconnect":
        pass
