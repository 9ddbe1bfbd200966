"""From parts to a measurement: sums are sums, what is not known stays unknown, and the bill is of what was counted."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from tidemill_load.assessment.aggregate import Part, bill, counts, measurement
from tidemill_load.cost_model.prices import list_prices
from tidemill_load.results.faults import Faults
from tidemill_load.results.spent import Spent

ONE = Part(
    requests=100,
    bytes=20_000,
    seconds=10.0,
    sending_seconds=12.5,
    drain_seconds=5.0,
    statuses={"accepted": 98, "rejected": 1},
    latencies=[1.0, 2.0],
    entities=30,
    faults=Faults(lost=1),
    errors=1,
    retries=2,
    spent=Spent(
        invocations=4,
        billed_ms=100.0,
        gb_seconds=0.2,
        write_units=60.0,
        read_units=60.0,
        records=10,
        stream_bytes=9_000,
        object_puts=20,
        object_heads=5,
        object_bytes=40_000,
        upload_gets=10,
        upload_bytes=1_000_000,
    ),
)
OTHER = replace(ONE, latencies=[3.0], faults=Faults(duplicates=1, reordered=2))


def test_parts_add_up() -> None:
    found = measurement("aggregated", 10.0, [ONE, OTHER], 1769, 2, 60.0)
    assert (found.slices, found.requests, found.invocations, found.write_units) == (2, 200, 8, 120.0)
    assert (found.seconds, found.drain_seconds, found.sent_rate) == (20.0, 10.0, 8.0)
    assert (found.receipts, found.accepted, found.rejected) == (198, 196, 2)
    assert (found.lost, found.duplicates, found.reordered, found.errors, found.retries) == (1, 1, 2, 2, 4)
    assert (found.latency.count, found.latency.max) == (3, 3.0)
    assert (found.memory_mb, found.shards, found.span) == (1769, 2, 60.0)


def test_what_is_not_known_of_a_part_is_not_known() -> None:
    unknown = replace(ONE, faults=None, spent=msgspec.structs.replace(ONE.spent, billed_ms=None))
    found = measurement("aggregated", 10.0, [ONE, unknown], 1769, 2, 60.0)
    assert (found.lost, found.duplicates, found.billed_ms, found.invocations) == (None, None, None, 8)
    assert found.cold_starts is None


def test_results_from_before_objects_were_counted_do_not_know_of_them_and_are_not_billed_for_them() -> None:
    before = measurement("direct", 10.0, [replace(ONE, spent=Spent(invocations=4))], 128, 0, 60.0)
    assert (before.object_puts, before.upload_bytes) == (None, None)
    assert not [item for item in bill(before, list_prices()) if item.startswith(("object", "upload"))]


def test_the_bill_is_of_what_was_counted_and_of_the_shards_for_the_whole_time() -> None:
    found = measurement("aggregated", 10.0, [ONE, OTHER], 1769, 2, 60.0)
    assert counts(found).shard_hours == pytest.approx(2 * 60 / 3600)
    dollars = bill(found, list_prices())
    assert dollars["write_units"] == pytest.approx(120 * 0.625e-6)
    assert dollars["object_puts"] == pytest.approx(40 * 5e-6)
    assert dollars["object_gets"] == pytest.approx(10 * 0.4e-6)
    assert dollars["object_byte_months"] == pytest.approx(80_000 / 2**30 * 0.023 * 30 * 24 / 730)
    assert dollars["upload_puts"] == pytest.approx(20 * 5e-6), "each that was read was put"
    assert dollars["upload_gets"] == pytest.approx(20 * 0.4e-6)
    assert dollars["upload_byte_months"] == pytest.approx(2_000_000 / 2**30 * 0.023 * 30 * 24 / 730)
    assert set(dollars) == {
        *("object_puts", "object_gets", "object_byte_months", "upload_puts", "upload_gets", "upload_byte_months"),
        *("invocations", "gb_seconds", "shard_hours", "write_units", "read_units"),
        *("firehose_bytes", "s3_puts", "s3_byte_months"),
    }
