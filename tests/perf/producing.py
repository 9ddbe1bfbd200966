"""The producer, through real boto3 with the network cut off, against put_record and put_records by hand.

Each side begins with a command, a key and data and ends with an answer: the request's JSON is part of it, and so are
the producer's thread, lanes and handles. Clients and producers are made before: they live for longer than this.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import cache, partial
from itertools import count
from random import Random
from typing import Any, TypeAlias
from uuid import uuid4

import boto3

from tests.perf import wire
from tests.perf.measure import Result, faster
from tests.perf.orders.rules import CHANGE, NAMES, NOTES
from tests.perf.workload import COMMAND, SEED, key_of, keys
from tidemill import Producer
from tidemill.contract.request import Document
from tidemill.replies.replies import Replies

SINGLE, MANY = 2_000, 20_000
CALL_RECORDS = 500
SINGLE_ORDERS, MANY_ORDERS = 1_000, 10_000
MESSAGE_REPLIES = 100
"""Replies of a message: those to a client that has sent many requests."""

Order: TypeAlias = tuple[str, Document]
"""An order's key and what is to be done with it."""


def producer_vs_put_record(pairs: int) -> list[Result]:
    """A call for each request."""
    Kinesis()
    kinesis = boto3.client("kinesis")
    few, many = keys(SINGLE), keys(MANY)

    def theirs() -> None:
        for key in few:
            kinesis.put_record(StreamName="perf", Data=to_json(key), PartitionKey=key)

    name, times = "producer_vs_put_record", MANY / SINGLE
    return [
        faster(name, theirs, partial(produce, many), 100.0, "put_record's requests/s", pairs, times=times, make=made)
    ]


def producer_vs_put_records(pairs: int) -> list[Result]:
    """Calls of 500."""
    Kinesis()
    kinesis = boto3.client("kinesis")
    many = keys(MANY)

    def theirs() -> None:
        for first in range(0, MANY, CALL_RECORDS):
            some = many[first : first + CALL_RECORDS]
            records: list[Any] = [{"Data": to_json(key), "PartitionKey": key} for key in some]
            assert kinesis.put_records(StreamName="perf", Records=records)["FailedRecordCount"] == 0

    unit = "put_records x500's requests/s"
    return [faster("producer_vs_put_records", theirs, partial(produce, many), 3.0, unit, pairs, make=made)]


def to_json(key: str) -> bytes:
    """A request, made by hand."""
    request = {"v": 1, "id": str(uuid4()), "cmd": COMMAND, "key": key, "at": time.time_ns() // 1_000_000, "data": {}}
    return json.dumps(request).encode()


def made() -> tuple[Producer]:
    """A producer."""
    return (Producer("perf"),)


def produce(names: list[str], producer: Producer) -> None:
    """The same by the SDK, to its last answer."""
    for key in names:
        producer.send(COMMAND, key=key)
    producer.close()


def producer_orders(pairs: int) -> list[Result]:
    """Orders: data of 300 to 400 bytes that differ, a key each, the outcomes checked, the replies heard."""
    Kinesis()
    kinesis = boto3.client("kinesis")
    few, many = orders(SINGLE_ORDERS), orders(MANY_ORDERS)

    def single() -> None:
        queue, sent = Queue(), set[str]()
        for key, data in few:
            id_, body = order_json(key, data)
            answer = kinesis.put_record(StreamName="perf", Data=body, PartitionKey=key)
            assert answer["SequenceNumber"]
            queue.ids.append(id_)
            sent.add(id_)
        hear(queue, sent)

    def in_calls() -> None:
        queue, sent = Queue(), set[str]()
        for first in range(0, MANY_ORDERS, CALL_RECORDS):
            made = [(key, *order_json(key, data)) for key, data in many[first : first + CALL_RECORDS]]
            records: list[Any] = [{"Data": body, "PartitionKey": key} for key, _, body in made]
            answer = kinesis.put_records(StreamName="perf", Records=records)
            for (_, id_, _), entry in zip(made, answer["Records"], strict=True):
                assert entry["SequenceNumber"]
                queue.ids.append(id_)
                sent.add(id_)
        hear(queue, sent)

    def made() -> tuple[list[Order], Queue, Producer]:
        queue: Any = Queue()
        return fresh(many), queue, Producer("perf", client="phone-1", replies=Replies("https://perf", sqs=queue))

    unit = "put_record's orders/s"
    times = MANY_ORDERS / SINGLE_ORDERS
    return [
        faster("producer_orders_vs_put_record", single, order, 60.0, unit, pairs, times=times, make=made),
        faster("producer_orders_vs_put_records", in_calls, order, 3.0, "put_records x500's orders/s", pairs, make=made),
    ]


def order(orders: Sequence[Order], queue: Queue, producer: Producer) -> None:
    """Sends the orders by the SDK, and waits for each one's outcome and its reply."""
    handles = []
    for key, data in orders:
        handle = producer.send(CHANGE, key=key, data=data, reply=True)
        queue.ids.append(handle.id)
        handles.append(handle)
    for handle in handles:
        assert handle.result().sequence
    for handle in handles:
        assert handle.reply().status == "accepted"
    producer.close()


def orders(number: int) -> list[Order]:
    """Orders that have nothing in common but their names."""
    random = Random(SEED)
    return [(key_of(next(_ranks)), _order(random)) for _ in range(number)]


def fresh(orders: Sequence[Order]) -> list[Order]:
    """The data of a turn under keys that no turn has had before."""
    return [(key_of(next(_ranks)), data) for _, data in orders]


_ranks = count()


def _order(random: Random) -> Document:
    return {
        "customer": f"Åsa Grün-Strömberg {random.randrange(10**6)}",
        "address": f"Äußere Kanalstraße {random.randrange(300)}, Köln",
        "lines": [
            {"name": name, "quantity": random.randrange(1, 9), "price": random.randrange(10**5) / 100}
            for name in random.sample(NAMES, 2)
        ],
        "note": f"{random.choice(NOTES)} ({random.randrange(10_000)})",
        "total": random.randrange(10**6) / 100,
        "express": random.random() < 0.5,
    }


def order_json(key: str, data: Document) -> tuple[str, bytes]:
    """A request's id and its JSON, made by hand."""
    id_, at = str(uuid4()), time.time_ns() // 1_000_000
    request = {"v": 1, "id": id_, "cmd": CHANGE, "key": key, "client": "phone-1", "at": at, "data": data}
    return id_, json.dumps(request, ensure_ascii=False).encode()


class Queue:
    """A queue with a reply to each request, as boto3's client of SQS."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._answered = 0

    def receive_message(self, **_: Any) -> Any:
        """Ten messages at most, each with many replies."""
        bodies: list[str] = []
        while len(bodies) < 10 and self._answered < len(self.ids):
            some = self.ids[self._answered : self._answered + MESSAGE_REPLIES]
            self._answered += len(some)
            replies = ",".join([f'{{"id":"{one}","status":"accepted"}}' for one in some])
            bodies.append(f'{{"v":1,"client":"phone-1","replies":[{replies}]}}')
        return {"Messages": [{"Body": body, "ReceiptHandle": "r", "MessageId": "m"} for body in bodies]}

    def delete_message_batch(self, **_: Any) -> Any:
        """Deletes them."""
        return {"Successful": []}

    def close(self) -> None:
        """Does nothing."""


def hear(queue: Queue, sent: set[str]) -> None:
    """Hears the replies to the requests, by hand."""
    while sent:
        messages = queue.receive_message()["Messages"]
        for message in messages:
            for reply in json.loads(message["Body"])["replies"]:
                assert reply["status"] == "accepted"
                sent.discard(reply["id"])
        queue.delete_message_batch()


class Kinesis:
    """A stream where all goes well. One call at a time."""

    def __init__(self) -> None:
        self._records = 0
        wire.cut(kinesis=self._answer)
        wire.look("kinesis.PutRecords", self._look)

    def _look(self, params: Any) -> None:
        self._records = len(params["Records"])

    def _answer(self, operation: str, _: bytes) -> bytes:
        return answer(operation, self._records)


def answer(operation: str, records: int) -> bytes:
    """What Kinesis says when all goes well, to so many records."""
    if operation == "PutRecords":
        return _stored(records)
    return _STORED if operation == "PutRecord" else _STREAM


_STREAM = b'{"StreamDescriptionSummary":{"StreamName":"perf","StreamStatus":"ACTIVE","OpenShardCount":1}}'
_STORED = (
    b'{"SequenceNumber":"49590338271490256608559692538361571095921575989136588898","ShardId":"shardId-000000000000"}'
)


@cache
def _stored(count: int) -> bytes:
    return b'{"FailedRecordCount":0,"Records":[' + b",".join([_STORED] * count) + b"]}"
