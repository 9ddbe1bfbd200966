"""The stage's SQL in Flink, on bounded files: what it takes, what it adds up, and what it writes.

`make test-flink` runs it.
"""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import duckdb
import pytest

from tests.analytics_sql.stream.conftest import BEGIN, PROPERTIES, Job, arrived
from tidemill.contract.request import decode
from tidemill_consumers.core.stage.totals import window_of
from tidemill_stream.settings import STAGES

GENERATION = PROPERTIES["generation"]


def totals(written: list[Any]) -> list[tuple[str, str, int, int]]:
    """(command, key, seconds from BEGIN to the window's end, total) of requests with totals."""
    return [(one["cmd"], one["key"], one["n"] - BEGIN, one["data"]["total"]) for one in written]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_only_appends(job: Job, stage: str) -> None:
    """The sink takes no updates: a stage that makes some is refused as it is planned."""
    plan = job.plans(stages=stage)[stage]
    assert "Sink(table=" in plan
    assert "ChangelogNormalize" not in plan


def test_a_total_for_each_key_command_and_window(job: Job) -> None:
    lines = [
        arrived(0.5),
        arrived(3, key="content/2"),
        arrived(9.999),
        arrived(10),
        arrived(12, cmd="cart.add", data={"count": 5}),
        arrived(13, cmd="cart.add", data={"count": 7}),
        arrived(14, cmd="content.publish", data={"title": "A"}),
        arrived(45),
    ]
    assert totals(job.run(lines)) == [
        ("content.view", "content/1", 10, 2),
        ("content.view", "content/2", 10, 1),
        ("content.view", "content/1", 20, 3),
        ("cart.add", "content/1", 20, 12),
        ("content.view", "content/1", 50, 4),
    ]


def test_what_it_writes_is_what_the_functions_read(job: Job) -> None:
    long, text = "é" * 256, 'content/"1"\\'
    written = job.run([arrived(1, key=long, id="a"), arrived(2, key=text, id="b")])
    found = [decode(json.dumps(one).encode()) for one in written]
    windows = [window_of(one, BEGIN + 10) for one in found]
    assert windows == [(GENERATION, BEGIN + 10, 1)] * 2
    assert [one.key for one in found] == [long, text]
    assert len({one.id for one in found}) == 2
    assert found[1].id == f"{GENERATION}/content.view/{BEGIN + 10}/{text}"


@pytest.mark.parametrize(
    ("again", "total"),
    [
        ({"w": "phone", "n": 7, "id": "b"}, 1),
        ({"w": "phone", "n": 7, "id": "b", "tried": (BEGIN + 1) * 1000}, 1),
        ({"w": "phone", "n": 8, "id": "a"}, 2),
        ({"w": "other", "n": 7, "id": "a"}, 2),
    ],
)
def test_a_writers_repeat_is_known_by_its_counter(job: Job, again: dict[str, Any], total: int) -> None:
    first = arrived(1, id="a", w="phone", n=7)
    assert totals(job.run([first, arrived(1800, **again)]))[-1][-1] == total


def test_a_repeat_is_known_by_its_id_where_it_has_no_counter(job: Job) -> None:
    lines = [arrived(1, id="a"), arrived(1, id="a"), arrived(2, id="a", key="content/1"), arrived(3, id="b")]
    assert totals(job.run(lines)) == [("content.view", "content/1", 10, 2)]


def test_a_repeat_of_what_came_before_the_first_window_is_not_taken(job: Job) -> None:
    """A generation reads back for these, or a repeat across its begin would count twice."""
    lines = [arrived(-900, id="a"), arrived(5, id="a"), arrived(6, id="b")]
    assert totals(job.run(lines)) == [("content.view", "content/1", 10, 1)]


def test_periods_by_arrival_and_by_the_first_attempt(job: Job) -> None:
    until = BEGIN + 20
    lines = [
        arrived(4),
        arrived(5, id="before", tried=(BEGIN + 4) * 1000),
        arrived(19.999),
        arrived(20),
        arrived(21, id="across", tried=until * 1000 - 1),
        arrived(22, id="after", tried=until * 1000),
        arrived(35, id="second"),
    ]
    periods = f"{BEGIN + 5}-{until},{BEGIN + 30}-"
    assert totals(job.run(lines, periods=periods)) == [
        ("content.view", "content/1", 10, 1),
        ("content.view", "content/1", 20, 2),
        ("content.view", "content/1", 30, 3),
        ("content.view", "content/1", 40, 4),
    ]


def test_a_re_send_of_longer_ago_than_repeats_are_known_is_not_taken(job: Job) -> None:
    at = BEGIN * 1000
    lines = [
        arrived(100, id="a", tried=at + 40_000),
        arrived(101, id="b", tried=at + 40_999),
        arrived(102, id="c", tried=0),
        arrived(103, id="d", tried=at + 99_000, record_partition_key=f"lane-1 tried {at}"),
        arrived(104, id="e", record_partition_key=f"lane-1 tried {at + 50_000}"),
        arrived(105, id="f", tried=2**63 - 1),
        arrived(106, id="b"),
    ]
    assert totals(job.run(lines, horizon_seconds="60")) == [("content.view", "content/1", 110, 4)], (
        "what was not taken for it came too late is no first attempt"
    )


def test_what_it_leaves_to_the_functions(job: Job) -> None:
    amounts: list[object] = ["5", 5.0, -1, 2**53, None, True, [5], {}]
    lines = [
        *(arrived(1 + place / 10, cmd="cart.add", data={"count": one}) for place, one in enumerate(amounts)),
        arrived(3, cmd="cart.add", data={"other": 5}),
        arrived(3.1, cmd="cart.add", data={"count": 2**53 - 1}),
        arrived(3.2, cmd="cart.add", data={"count": 0}),
        *(arrived(4, id=w, w=f"{w}/x", n=1) for w in ("emit", "emit-proven", "event", "redrive", "stage")),
        arrived(5, ref={"object": "uploads/ann/0f", "bytes": 7}),
    ]
    assert totals(job.run(lines)) == [("cart.add", "content/1", 10, 2**53 - 1)]


def test_what_is_no_request_is_passed_over(job: Job) -> None:
    misrouted = json.dumps(json.loads(arrived(1)) | {"key": "content/2"})
    lines = [
        "",
        "{",
        "[1,2]",
        '"text"',
        "\0\1\2",
        arrived(1, v=2),
        arrived(1, id=""),
        arrived(1, id="x" * 129),
        arrived(1, key="content/1", data=[]),
        arrived(1, data=None),
        misrouted,
        arrived(2, id="right", v=1),
    ]
    assert totals(job.run(lines)) == [("content.view", "content/1", 10, 1)]


def test_rows_out_of_order_count_until_the_watermark_has_passed_them(job: Job) -> None:
    lines = [arrived(5), arrived(4.5), arrived(10.5), arrived(9.9), arrived(30), arrived(8, id="late")]
    assert totals(job.run(lines)) == [
        ("content.view", "content/1", 10, 3),
        ("content.view", "content/1", 20, 4),
        ("content.view", "content/1", 40, 5),
    ]


def test_totals_are_those_of_another_engine(job: Job) -> None:
    chance = random.Random(7)
    lines = []
    for number in range(5000):
        lines.append(arrived(number / 50, key=f"content/{chance.randrange(40)}", id=f"{number}", w="w", n=number))
        if chance.random() < 0.1:
            lines.append(lines[chance.randrange(len(lines))])
            repeat = json.loads(lines[-1]) | {"arrival": json.loads(lines[-2])["arrival"]}
            lines[-1] = json.dumps(repeat)
    written = totals(job.run(lines))
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    database.execute("CREATE TABLE arrivals (k VARCHAR, n BIGINT, arrival TIMESTAMPTZ)")
    rows = [(one["partition_key"], one["n"], one["arrival"]) for one in map(json.loads, lines)]
    database.executemany("INSERT INTO arrivals VALUES (?, ?, ?)", rows)
    oracle = database.execute(
        """
        WITH firsts AS (SELECT k, n, min(arrival) AS arrival FROM arrivals GROUP BY k, n),
        counted AS (
          SELECT k, epoch(time_bucket(INTERVAL 10 SECONDS, arrival))::BIGINT + 10 AS w, count(*) AS c
          FROM firsts GROUP BY ALL
        )
        SELECT 'content.view', k, w - ?, (sum(c) OVER (PARTITION BY k ORDER BY w))::BIGINT FROM counted
    """,
        [BEGIN],
    ).fetchall()
    assert sorted(written) == sorted(oracle)
    assert len(written) > 300
    windows = [(key, n) for _, key, n, _ in written]
    each = [[n for one, n in windows if one == key] for key in {key for key, _ in windows}]
    assert all(earlier < later for numbers in each for earlier, later in pairwise(numbers)), (
        "windows of a key, in order"
    )


def test_top_content_says_since_when_it_counts(job: Job) -> None:
    lines = [arrived(place / 100, key=f"content/{place % 12}") for place in range(120)]
    lines += [arrived(50 + place, key="content/11") for place in range(3)]
    lines += [arrived(55, cmd="cart.add", data={"count": 9}, key="content/0")]
    first = job.run(lines, stages="top_content")[0]
    assert (first["cmd"], first["key"], first["w"]) == ("content.top", "top/1h", f"stage/{GENERATION}/content.top")
    assert first["n"] == first["data"]["of"] == BEGIN + 40
    assert first["data"]["from"] == BEGIN
    assert first["data"]["top"][0] == {"place": 1, "key": "content/0", "views": 10}
    second = job.run(lines, stages="top_content")[1]
    assert second["data"]["top"][0] == {"place": 1, "key": "content/11", "views": 13}
    assert [one["place"] for one in second["data"]["top"]] == list(range(1, 11))


def test_a_client_that_sends_far_more_than_before_is_an_anomaly(job: Job) -> None:
    usual = [
        arrived(-840 + 60 * minute, id=f"u{minute}-{one}", client="bob") for minute in range(14) for one in range(20)
    ]
    much = [arrived(41 + one / 100, id=f"m{one}", client="bob") for one in range(190)]
    new = [arrived(42 + one / 100, id=f"n{one}", client="new") for one in range(100)]
    few = [arrived(43 + one / 100, id=f"f{one}", client="few") for one in range(99)]
    found = job.run(
        [*usual, *sorted([*much, *new, *few], key=lambda one: json.loads(one)["arrival"])], stages="anomalies"
    )
    assert sorted(((one["key"], one["data"]) for one in found), key=lambda one: str(one[0])) == [
        ("alert/bob", {"of": BEGIN + 100, "client": "bob", "requests": 190, "before": 280}),
        ("alert/new", {"of": BEGIN + 100, "client": "new", "requests": 100, "before": 0}),
    ]


def test_reference_data_enriches_what_it_knows(job: Job) -> None:
    reference = [{"key": "content/1", "title": "One", "category": "birds"}]
    found = job.run([arrived(1), arrived(2), arrived(3, key="content/2")], reference, stages="enrich")
    assert [(one["key"], one["amount"], one["category"]) for one in found] == [("content/1", 2, "birds")]
