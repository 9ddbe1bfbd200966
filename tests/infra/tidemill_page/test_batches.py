"""Lines of metrics, added up, and the latencies of the last minute."""

from __future__ import annotations

from tidemill_consumers.codec.metrics import Figures, line_of
from tidemill_page.batches import LATENCY_SECONDS, Batched, Batches

NOON = 1_764_072_000.0


def heard(*lines: tuple[float, Figures], function: str = "apply") -> Batches:
    batches = Batches("apply")
    for second, figures in lines:
        batches.heard(line_of(figures, function, NOON + second) + "\n")
    return batches


def test_lines_are_added_up() -> None:
    one = Figures(requests=9, applied=5, rejected=3, repeats=1, redelivered=2, write_units=6.5)
    assert heard((0, one), (1, one)).totals == Batched(10, 6, 2, 4, 13.0)


def test_other_functions_and_other_lines_count_for_nothing() -> None:
    batches = heard((0, Figures(applied=5)), function="direct")
    for message in ("START RequestId: 1", "", '{"_aws": {}}', '{"_aws":{"Timestamp":1}}', "{"):
        batches.heard(message)
    assert batches.totals is None
    assert batches.latency(NOON) is None


def test_a_value_stands_for_as_many_requests_as_its_batch_has() -> None:
    small = Figures(requests=2, reply_latency=(10.0, 20.0))
    large = Figures(requests=1_000, reply_latency=(500.0, 400.0))
    assert heard((0, small)).latency(NOON) == (10.0, 20.0)
    assert heard((0, small), (1, large)).latency(NOON + 1) == (400.0, 500.0)
    fast = Figures(requests=1_000, reply_latency=(5.0,))
    slow = Figures(requests=9, reply_latency=(900.0,))
    assert heard((0, fast), (1, slow)).latency(NOON + 1) == (5.0, 5.0)


def test_latencies_are_those_of_the_last_minute() -> None:
    batches = heard((0, Figures(requests=1, reply_latency=(10.0,))), (30, Figures(requests=1, reply_latency=(20.0,))))
    assert batches.latency(NOON + LATENCY_SECONDS) == (10.0, 20.0)
    assert batches.latency(NOON + LATENCY_SECONDS + 1) == (20.0, 20.0)
    assert batches.latency(NOON + 200) is None
