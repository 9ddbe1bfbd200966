"""What stands on the streams, read apart from the consumer: each request, its place, and what its record says of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from tests.simulation.services import Stream
from tidemill.contract import aggregation
from tidemill.contract.attempts import tried_of, unmarked
from tidemill.contract.request import REDRIVE, Document, Request


class Place(NamedTuple):
    """A request on a stream.

    Attributes:
        shard: its shard, as marks name it.
        sequence: its record's number.
        sub: its place in its record.
        arrived: seconds since 1970, by the stream's clock.
        tried: of a re-send that is marked: a time before its first attempt's arrival, in seconds; else None.
    """

    shard: str
    sequence: int
    sub: int
    arrived: float
    tried: float | None
    request: Request

    @property
    def key(self) -> str:
        """The ordering key."""
        return self.request.key or ""

    @property
    def position(self) -> tuple[int, int]:
        """The place within the shard."""
        return self.sequence, self.sub


class Log:
    """All that was put, read once.

    Args:
        streams: the streams.
        refused: records of which no part is a request.
        uploaded: request id -> the data that its client uploaded for it, which it has here in place of its `ref`.
    """

    def __init__(self, streams: Sequence[Stream], refused: Collection[bytes], uploaded: Mapping[str, Document]) -> None:
        self._streams = streams
        self._refused = refused
        self._uploaded = uploaded
        self._requests: dict[bytes, tuple[list[Request], int | None]] = {}
        """What records hold; a producer that puts one again need not be read again."""
        self._places: list[list[Place]] = [[] for _ in streams]
        self._read = [0] * len(streams)
        self.of_id: dict[str, list[Place]] = defaultdict(list)

    @property
    def places(self) -> list[Place]:
        """Every request in the order of its stream; the first stream's come last, for others emit to it."""
        self.catch_up()
        return [place for places in reversed(self._places) for place in places]

    def first(self, request_id: str) -> tuple[str, str, int]:
        """Where the first copy of a request stands that its producer put: shard, sequence number, and place."""
        self.catch_up()
        first = next(one for one in self.of_id[request_id] if not (one.request.writer or "").startswith(REDRIVE))
        return first.shard, str(first.sequence), first.sub

    def catch_up(self) -> None:
        """Read what was put since."""
        for number, stream in enumerate(self._streams):
            for place in self._new(number, stream):
                self._places[number].append(place)
                self.of_id[place.request.id].append(place)

    def _new(self, number: int, stream: Stream) -> Iterator[Place]:
        begun, self._read[number] = self._read[number], len(stream.log)
        for shard, record in stream.log[begun:]:
            data = record.data
            if data not in self._requests:
                self._requests[data] = ([], None) if data in self._refused else self._with_data(*_requests(data))
            requests, stated = self._requests[data]
            tried = [stated, tried_of(record.partition_key) if aggregation.is_aggregate(data) else None]
            arrived, sequence = round(record.arrived.timestamp(), 3), int(record.sequence)  # as readers are told
            for sub, request in enumerate(requests):
                told = [one / 1000 for one in (*tried, request.tried) if one is not None]
                yield Place(shard, sequence, sub, arrived, min(told, default=None), request)

    def _with_data(self, requests: list[Request], stated: int | None) -> tuple[list[Request], int | None]:
        uploaded = self._uploaded
        return [
            msgspec.structs.replace(one, data=uploaded[one.id], ref=None) if one.ref and one.id in uploaded else one
            for one in requests
        ], stated


_decoder = msgspec.json.Decoder(Request)


def _requests(data: bytes) -> tuple[list[Request], int | None]:
    """The requests of a record, and the mark of a plain one."""
    try:
        if aggregation.is_aggregate(data):
            return _decoder.decode_lines(b"\n".join(aggregation.unpack_columns(data)[1])), None
        payload, tried = unmarked(data)
        return [_decoder.decode(payload)], tried
    except (aggregation.CorruptAggregate, msgspec.MsgspecError, UnicodeDecodeError):
        return [], None
