"""How full the producer's records are, and whether each key lies in its lane: as they leave, by its public API."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from hashlib import md5

from tests.perf import wire
from tests.perf.measure import AT_LEAST, AT_MOST, Result, result
from tests.perf.producing import answer
from tests.perf.workload import payloads
from tidemill import Producer
from tidemill.contract.aggregation import unpack
from tidemill.contract.attempts import MAX_TRIED, marked_key
from tidemill.contract.lanes import partition_key
from tidemill.contract.request import decode
from tidemill.sending.records import MAX_RECORD_BYTES

REQUESTS = 100_000
LANES = 8
"""Few, so that each fills several records."""


@dataclass(frozen=True)
class Put:
    """A record as it came over the wire."""

    key: str
    hash_key: int
    data: bytes

    @property
    def bytes(self) -> int:
        """What counts towards the record's limit."""
        return len(self.data) + len(self.key.encode())


def fill(_: int) -> list[Result]:
    """Records of 1 MiB with their partition keys."""
    records = put_all()
    last = {record.hash_key: record for record in records}
    full = [record.bytes / MAX_RECORD_BYTES for record in records if record is not last[record.hash_key]]
    assert max(full) <= 1
    users = [(record, one) for record in records for one in unpack(record.data)]
    assert len(users) == REQUESTS
    misplaced = sum(lane(int(md5(one.key.encode()).hexdigest(), 16)) != lane(record.hash_key) for record, one in users)
    return [
        result("fill", full, 0.995, f"of 1 MiB that full records have, partition key included, {AT_LEAST}"),
        result("misplaced", [misplaced], 0, f"keys outside their own lane, {AT_MOST}"),
    ]


def lane(hash_key: int) -> int:
    """Which of the equal slices of the hash space that is."""
    return hash_key * LANES >> 128


def put_all() -> list[Put]:
    """What a producer puts on the stream."""
    records: list[Put] = []

    def keep(operation: str, body: bytes) -> bytes:
        found = [
            Put(one["PartitionKey"], int(one["ExplicitHashKey"]), base64.b64decode(one["Data"]))
            for one in json.loads(body).get("Records", [])
        ]
        records.extend(found)
        return answer(operation, len(found))

    wire.cut(kinesis=keep)
    most = MAX_RECORD_BYTES - len(marked_key(partition_key(LANES - 1), MAX_TRIED))
    with Producer("perf", lanes=LANES, record_bytes=most, linger=3600) as producer:
        for _, payload in payloads(REQUESTS):
            producer.put(decode(payload))
    return records
