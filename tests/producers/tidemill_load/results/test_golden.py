"""The file of version 2, byte for byte: readers of results compare files, and so its fields keep their order."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from tidemill_load.assessment.aggregate import Items, Part, measurement
from tidemill_load.results.faults import Faults
from tidemill_load.results.result import ORDER, Latency, Measurement, Result, Workload, to_json
from tidemill_load.results.spent import Spent

PART = Part(
    requests=100,
    bytes=20_000,
    seconds=10.0,
    sending_seconds=12.5,
    drain_seconds=5.0,
    statuses={"accepted": 97, "rejected": 1, "quarantined": 2},
    latencies=[0.5, 2.0],
    entities=30,
    writers=75,
    items=Items(28, 14_000, 84),
    faults=Faults(lost=1, duplicates=2, reordered=3),
    errors=4,
    retries=5,
    spent=Spent(
        invocations=4,
        billed_ms=100.0,
        gb_seconds=0.25,
        cold_starts=1,
        http_requests=6,
        records=10,
        put_calls=3,
        put_units=11,
        stream_bytes=9_000,
        read_calls=7,
        write_calls=8,
        read_units=60.0,
        write_units=61.5,
        forgotten_units=1.5,
        object_puts=12,
        object_heads=2,
        object_bytes=48_000,
        upload_gets=3,
        upload_bytes=300_000,
        reply_messages=9,
    ),
)


def test_the_order_has_every_field_once() -> None:
    assert sorted(ORDER) == sorted(Measurement.__struct_fields__)


def test_a_result_is_written_as_it_always_was() -> None:
    measured = measurement("aggregated", 10.0, [PART, PART], 1769, 2, 60.0)
    few = Latency(count=2, p50=0.5, p95=2.0, p99=2.0, max=2.0, bounds=(0.1, 1.0), counts=(0, 1, 1))
    result = Result(
        started="2026-11-25T10:00:00Z",
        target="local",
        workload=Workload(kind="poisson", parameters={"keys": 100}),
        seed=1,
        seconds=30.0,
        window=5,
        batch=1000,
        config_hash="0123456789ab",
        versions={"tidemill": "0.1.0"},
        measurements=(
            replace(measured, latency=few, bill={"write_units": 0.5}),
            Measurement(mode="direct", rate=10.0, skipped="no endpoint"),
        ),
        notes=("one",),
    )
    assert to_json(result) == msgspec.json.format("".join(GOLDEN).encode(), indent=2) + b"\n"


GOLDEN = (
    '{"schema_version":2,"started":"2026-11-25T10:00:00Z","target":"local","workload":{"kind":"poisson",',
    '"parameters":{"keys":100},"arrivals":[]},"seed":1,"seconds":30.0,"window":5,"batch":1000,',
    '"config_hash":"0123456789ab","price_date":null,"prices":{},"versions":{"tidemill":"0.1.0"},',
    '"measurements":[{"mode":"aggregated","rate":10.0,"skipped":null,"slices":2,"requests":200,"bytes":40000,',
    '"seconds":20.0,"span":60.0,"drain_seconds":10.0,"sent_rate":8.0,"invocations":8,"billed_ms":200.0,',
    '"memory_mb":1769,"gb_seconds":0.5,"cold_starts":2,"http_requests":12,"records":20,"put_calls":6,',
    '"put_units":22,"stream_bytes":18000,"shards":2,"read_calls":14,"write_calls":16,"read_units":120.0,',
    '"write_units":123.0,"forgotten_units":3.0,"object_puts":24,"object_heads":4,"object_bytes":96000,"upload_gets":6,',
    '"upload_bytes":600000,"entities":60,"writers_per_key":2.5,"item_bytes":500.0,"remembered":3.0,"receipts":200,',
    '"reply_messages":18,"accepted":194,"rejected":2,',
    '"quarantined":4,"latency":{"count":2,"p50":0.5,"p95":2.0,"p99":2.0,"max":2.0,"bounds":[0.1,1.0],"counts":[0,',
    '1,1]},"lost":2,"duplicates":4,"reordered":6,"errors":8,"retries":10,"bill":{"write_units":0.5}},',
    '{"mode":"direct","rate":10.0,"skipped":"no endpoint","slices":0,"requests":0,"bytes":0,"seconds":0.0,',
    '"span":0.0,"drain_seconds":0.0,"sent_rate":0.0,"invocations":null,"billed_ms":null,"memory_mb":null,',
    '"gb_seconds":null,"cold_starts":null,"http_requests":0,"records":0,"put_calls":0,"put_units":0,',
    '"stream_bytes":0,"shards":0,"read_calls":null,"write_calls":null,"read_units":null,"write_units":null,',
    '"forgotten_units":null,"object_puts":null,"object_heads":null,"object_bytes":null,"upload_gets":null,',
    '"upload_bytes":null,"entities":0,"writers_per_key":null,"item_bytes":null,"remembered":null,"receipts":0,',
    '"reply_messages":null,"accepted":0,"rejected":0,"quarantined":0,',
    '"latency":{"count":0,"p50":0.0,"p95":0.0,"p99":0.0,"max":0.0,"bounds":[],"counts":[]},"lost":null,',
    '"duplicates":null,"reordered":null,"errors":0,"retries":0,"bill":{}}],"notes":["one"],"stopped":false}',
)
