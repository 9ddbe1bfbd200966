"""What must have come of a run with a stage, by the clients' stream's log, and what went wrong."""

from __future__ import annotations

import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.judging import Result
from tests.simulation.log import Log, Place
from tests.simulation.pipeline import Pipeline
from tests.simulation.staging.stage import Periods, amount_of, is_too_late, may_count
from tidemill_consumers.codec.items import from_item


@dataclass
class Sent:
    """What clients sent, by id."""

    requests: list[str] = field(default_factory=list)


def judge(pipeline: Pipeline, log: Log, sent: Sent, periods: Periods, horizon: float) -> Result:
    """What went wrong."""
    result = Result(requests=len(sent.requests))
    copies: dict[str, list[Place]] = defaultdict(list)
    forged: set[tuple[str, int, int]] = set()
    for place in log.places:
        if (place.request.writer or "").startswith("stage/"):
            forged.add((place.shard, *place.position))
        else:
            copies[place.request.id].append(place)
    beyond = {
        (one.shard, *one.position)
        for of_id in copies.values()
        for one in of_id
        if amount_of(one.request) is not None and may_count(one, periods) and is_too_late(one, horizon)
    }
    told = {name: [one for one in of_id if (one.shard, *one.position) not in beyond] for name, of_id in copies.items()}
    _judge_documents(result, pipeline, log, told)
    kept = {(one.shard, int(one.sequence), one.sub) for one in pipeline.quarantine_objects()}
    untold = kept & beyond
    result.untold = len(untold)
    result.lost += len(forged - kept)
    result.wrong += len(kept - forged - beyond)
    for name in sent.requests:
        waiting = [one for one in copies[name] if (one.shard, *one.position) in untold]
        result.lost += not told[name] and not waiting
        heard = pipeline.topic.heard.get(name, set())
        request = copies[name][0].request if copies[name] else None
        is_rejected = request is not None and request.cmd == "pay" and amount_of(request) is None
        expected = {"rejected" if is_rejected else "accepted"} if told[name] else set()
        result.unanswered += not heard
        result.wrong += bool(heard) and not (expected <= heard <= expected | ({"quarantined"} if waiting else set()))
    result.invocations = sum(source.invocations for source in pipeline.sources)
    result.dynamodb_write_calls, result.distinct_keys_written = pipeline.write_calls, pipeline.table.written
    return result


def _judge_documents(result: Result, pipeline: Pipeline, log: Log, told: dict[str, list[Place]]) -> None:
    expected: dict[str, dict[str, Any]] = defaultdict(dict)
    done: set[str] = set()
    for place in log.places:
        name, request = place.request.id, place.request
        if name in done or not told.get(name):
            continue
        document = expected[place.key]
        if request.cmd == "step":
            chain = zlib.crc32(f"{request.writer} {request.counter}".encode(), document.get("chain", 0))
            document |= {"n": document.get("n", 0) + 1, "chain": chain}
        elif (amount := amount_of(request)) is not None:
            counter = "views" if request.cmd == "view" else "paid"
            document[counter] = document.get(counter, 0) + amount
        done.add(name)
    actual = {key: from_item(item).document or {} for key, item in pipeline.table.items.items() if "doc" in item}
    for key, document in expected.items():
        found = actual.get(key, {})
        for counter in ("n", "views", "paid"):
            difference = found.get(counter, 0) - document.get(counter, 0)
            result.lost += max(0, -difference)
            result.double += max(0, difference)
        result.reordered += found.get("chain") != document.get("chain") and found.get("n") == document.get("n")
