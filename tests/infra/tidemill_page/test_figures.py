"""Figures as JSON has them."""

import json

import pytest

from tidemill_page.figures import Figures, History, QuarantinedObject, ShardFigures, as_json


@pytest.mark.parametrize(
    ("requests", "invocations", "saved", "share"),
    [(1_000, 10, 990, 0.99), (0, 0, 0, None), (3, 5, 0, 0.0), (None, 5, None, None)],
)
def test_an_invocation_a_request_less_those_there_were_is_saved(
    requests: int | None, invocations: int, saved: int | None, share: float | None
) -> None:
    figures = Figures("local", 2.0, 1.0, requests, invocations, History(5))
    assert (figures.saved, figures.saved_share) == (saved, share)


def test_json_has_every_figure_by_its_name() -> None:
    one = QuarantinedObject("quarantine/1", "2026-11-29T12:00:00.000Z", "unknown command x", "x", "k", "i", None)
    figures = Figures("local", 2.0, 1.0, 10, 1, History(5, (1.5, None)), shards=(ShardFigures("s", 1, 2.5),))
    told = json.loads(json.dumps(as_json(figures)))
    assert (told["requests"], told["saved"], told["saved_share"], told["lag_ms"]) == (10, 9, 0.9, None)
    assert told["history"]["requests_per_second"] == [1.5, None]
    assert told["shards"] == [{"shard": "s", "waiting": 1, "records_per_second": 2.5}]
    told = as_json(Figures("local", 2.0, 1.0, 10, 1, History(5), newest_quarantined=(one,)))
    assert told["newest_quarantined"][0]["reason"] == "unknown command x"
