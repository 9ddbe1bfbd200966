"""What must have come of a run, by the streams' logs, and what went wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import uuid5

import msgspec

from tests.simulation.application import step
from tests.simulation.content import names_in
from tests.simulation.forgetting import told
from tests.simulation.log import Place
from tests.simulation.pipeline import HORIZON, Pipeline
from tests.simulation.redriving import UNTOLD
from tidemill.contract.request import REDRIVE, Request
from tidemill_consumers.adapters.quarantine import read
from tidemill_consumers.codec.items import from_item
from tidemill_consumers.core.batch import Rejected, State
from tidemill_consumers.core.emits import EMITTER, IDS


@dataclass
class Result:
    """What a run, or several, came to."""

    requests: int = 0
    emitted: int = 0
    redriven: int = 0
    looped: int = 0
    """Follow-up requests that too many emits led to, and so were to be quarantined."""
    faults: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    double: int = 0
    reordered: int = 0
    unanswered: int = 0
    wrong: int = 0
    invocations: int = 0
    distinct_keys_written: int = 0
    dynamodb_write_calls: int = 0
    write_units: int = 0
    saved_units: int = 0
    """Those of writes that saved a key; the rest were refused, and cost as much."""
    writers: int = 0
    """Those of fleets."""
    resent: int = 0
    """Marked re-sends that were taken."""
    asked: int = 0
    """Those that only the table of forgotten writers could tell."""
    untold: int = 0
    """Those quarantined as such that cannot be told from a repeat."""
    untold_by_rule: int = 0
    """Those of which the oracle says so."""
    uploaded: int = 0
    """Requests whose data was uploaded, and is what they say."""
    drawn: int = 0
    """Objects that were put."""
    drawn_again: int = 0
    """Of these, those that had been there before."""
    swept: int = 0
    """Versions that were deleted."""
    dangling: int = 0
    """Objects that a saved document names, or named, and that are not there."""
    wasted: int = 0
    """Objects that were put, though no document names them, by an invocation of which nothing failed."""
    needless: int = 0
    """Writes by which an entity forgot writers that it had room for."""
    seeds: int = 0
    failed_seeds: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether nothing went wrong."""
        wrong = self.lost or self.double or self.reordered or self.unanswered or self.wrong or self.needless
        return not (wrong or self.dangling or self.wasted)

    @property
    def summary(self) -> str:
        """What went wrong, for a line."""
        names = ("lost", "double", "reordered", "unanswered", "wrong", "needless", "dangling", "wasted")
        return ", ".join(f"{name} {getattr(self, name)}" for name in names)

    def add(self, other: Result) -> None:
        """Add another's figures."""
        for name, value in vars(other).items():
            if name == "failed_seeds":
                self.failed_seeds += value
            elif name == "faults":
                self.faults.update(value)
            else:
                setattr(self, name, getattr(self, name) + value)


@dataclass
class Sent:
    """What the clients did."""

    ids: list[str] = field(default_factory=list)
    junk: list[bytes] = field(default_factory=list)


def judge(pipeline: Pipeline, sent: Sent, early: Collection[str]) -> Result:
    """What went wrong. `early`: ids redriven while things failed, whose first outcome may be told late, or never."""
    result = Result(requests=len(sent.ids) + len(sent.junk))
    places = pipeline.log.places
    resent = told(places, pipeline.table.saves, HORIZON)
    expected = _expected(places, resent.untold, pipeline.emit_depth)
    result.looped = expected.looped
    statuses = expected.statuses
    result.emitted, result.reordered, result.wrong = len(expected.emits), expected.reordered, expected.foreign
    result.lost = sum(one not in statuses for one in expected.emits)
    result.lost += sum(statuses[one] == "quarantined" for one in expected.poisoned)
    _judge_documents(result, pipeline, expected)
    result.lost += sum(one not in statuses for one in sent.ids)
    for one in sent.ids:
        _judge_answers(result, pipeline, expected, one, one in early)
    for one in pipeline.refused:
        heard = pipeline.topic.heard.get(one)
        result.unanswered += not heard
        result.wrong += bool(heard) and heard != {"quarantined"}
    _judge_quarantine(result, pipeline, expected, sent)
    _judge_objects(result, pipeline)
    result.uploaded = len(pipeline.uploads.data)
    result.resent, result.asked, result.needless = resent.marked, resent.asked, resent.needless
    result.invocations = sum(source.invocations for source in pipeline.sources)
    result.distinct_keys_written = pipeline.table.written
    result.dynamodb_write_calls = pipeline.write_calls
    result.write_units, result.saved_units = pipeline.table.units, pipeline.table.saved_units
    return result


def _judge_documents(result: Result, pipeline: Pipeline, expected: _Expected) -> None:
    actual = {key: from_item(item).document for key, item in pipeline.table.items.items()}
    for key, document in expected.documents.items():
        found = actual.get(key)
        if found != document:
            wanted, got = (int(str((one or {"n": 0})["n"])) for one in (document, found))
            result.lost += max(0, wanted - got)
            result.double += max(0, got - wanted)
            result.reordered += wanted == got


def _judge_objects(result: Result, pipeline: Pipeline) -> None:
    content = pipeline.content
    result.drawn, result.drawn_again, result.swept = content.puts, content.again, content.deleted
    named = {name for item in pipeline.table.items.values() for name in names_in(item)}
    result.dangling = pipeline.table.dangling + content.dangling + sum(not content.is_there(name) for name in named)
    result.wasted = pipeline.wasted


def _judge_answers(result: Result, pipeline: Pipeline, expected: _Expected, one: str, is_early: bool) -> None:
    heard = pipeline.topic.heard.get(one)
    status = expected.statuses.get(one)
    if not heard:
        result.unanswered += 1
        return
    outcomes = {expected.firsts.get(one), status}
    if one in expected.untold:
        outcomes.add("quarantined")
    if is_early:
        # Put back before its first outcome had left, it may only hear of the second.
        result.wrong += status not in heard or not outcomes.issuperset(heard)
    else:
        # Of a repeat that cannot be told, the client hears though it has heard before what became of the request.
        result.wrong += heard != outcomes or (pipeline.topic.last[one] != status and one not in expected.untold)


def _judge_quarantine(result: Result, pipeline: Pipeline, expected: _Expected, sent: Sent) -> None:
    objects = {name.partition("/")[2]: read(body) for name, body in pipeline.bucket.objects.items()}
    kept = [part.payload for one in objects.values() for part in one.all_parts]
    result.lost += sum(junk not in kept for junk in sent.junk)
    quarantined = expected.quarantined
    result.double += max(0, len(kept) - quarantined - len(sent.junk))
    result.lost += max(0, quarantined + len(sent.junk) - len(kept))
    places = {(one.shard, int(one.sequence), one.sub): one for one in objects.values()}
    untold = {place for place, one in places.items() if one.reason.startswith(UNTOLD)}
    by_rule = {place for of_id in expected.untold.values() for place in of_id}
    # An earlier attempt, whose entity had not forgotten yet, may have asked the rule; if its object came last, it says
    # what the rule did, and nobody waits for a redrive.
    asked = {place for place in by_rule - untold if place in places}
    result.untold, result.untold_by_rule = len(untold), len(by_rule - asked)
    result.wrong += len(untold ^ (by_rule - asked))
    result.lost += len(expected.waiting - {places[place].id for place in asked})


@dataclass
class _Emitted:
    """A follow-up request that a rule asked for, without writer and counter: two streams' batches race for those."""

    request: Request
    key: str
    """The emitting entity's."""
    place: int
    """How many were asked for before."""


@dataclass
class _Expected:
    """What the streams' logs say must be, folded."""

    documents: dict[str, State] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    """The last outcome, by id."""
    firsts: dict[str, str] = field(default_factory=dict)
    """The first, which is another for those that were redriven."""
    poisoned: set[str] = field(default_factory=set)
    """Ids of those that the rules could take once they had been mended: all are redriven in the end."""
    untold: dict[str, list[tuple[str, int, int]]] = field(default_factory=lambda: defaultdict(list))
    """Where those stand that cannot be told from a repeat, by id."""
    waiting: set[str] = field(default_factory=set)
    """Ids of those of which no copy could be told, and none was redriven yet."""
    looped: int = 0
    """Follow-up requests that too many emits led to."""
    quarantined: int = 0
    """Outcomes so, of which a request that is redriven may have several."""
    emits: dict[str, _Emitted] = field(default_factory=dict)
    """The follow-up requests, by id."""
    reordered: int = 0
    """How often a producer's order was not the log's."""
    foreign: int = 0
    """Follow-up requests on the stream that no rule asked for so."""


def _expected(places: Collection[Place], untold: Collection[tuple[str, int, int]], most_deep: int) -> _Expected:
    expected = _Expected()
    last: dict[tuple[str, str], int] = {}
    counters: dict[str, dict[int, int]] = defaultdict(dict)  # of emits, by writer and place
    redriven: set[str] = set()
    for place in places:
        request = place.request
        key, writer, counter = request.key or "", request.writer or "", request.counter or 0
        if writer.startswith(EMITTER):
            emitted = expected.emits.get(request.id)
            expected.foreign += not emitted or not _is_as_asked(request, emitted)
            if emitted:
                counters[writer][emitted.place] = counter
        is_redriven = writer.startswith(REDRIVE)
        # One that was sealed takes along what it was, and is known by that wherever it lay.
        known_as = f"{request.was.writer} {request.was.counter}" if request.was else writer
        if (place.shard, *place.position) in untold:
            expected.untold[request.id].append((place.shard, *place.position))
            expected.quarantined += 1
            if request.id not in expected.statuses:
                expected.waiting.add(request.id)
            expected.statuses.setdefault(request.id, "quarantined")
            expected.firsts.setdefault(request.id, "quarantined")
            continue
        if known_as in redriven or (request.id in expected.statuses and not is_redriven):
            continue
        if is_redriven:
            redriven.add(known_as)
            expected.waiting.discard(request.id)
        expected.reordered += counter <= last.get((key, writer), 0)
        last[key, writer] = counter
        depth = _depth(request, most_deep)
        expected.looped += depth is None
        status = _apply(expected, key, _as_rules_see(request), depth)
        expected.statuses[request.id] = status
        if request.cmd == "poison" and request.ref is None:
            expected.poisoned.add(request.id)
        expected.firsts.setdefault(request.id, status)
        expected.quarantined += status == "quarantined"
    for by_place in counters.values():
        in_order = [counter for _, counter in sorted(by_place.items())]
        expected.reordered += in_order != sorted(set(in_order))
    return expected


def _is_as_asked(request: Request, emitted: _Emitted) -> bool:
    writer = request.writer or ""
    bare = msgspec.structs.replace(request, writer=None, counter=None, sig=None, tried=None)
    return bare == emitted.request and writer.endswith(f"/{emitted.key}")


def _as_rules_see(request: Request) -> Request:
    """A request, whose writer is another to rules if it was sealed and redriven: named by what it was."""
    if request.was is None:
        return request
    known_by = msgspec.json.encode([request.client, request.was.writer, request.was.counter])
    return msgspec.structs.replace(request, writer=REDRIVE + sha256(known_by).hexdigest())


def _depth(request: Request, most: int) -> int | None:
    """How many emits led to a request, since it was redriven if that let it go on; None if too many did."""
    writer = request.writer or ""
    if writer.startswith(REDRIVE):
        return request.depth if request.depth <= most else 0
    if not writer.startswith(EMITTER):
        return 0
    return request.depth if request.depth <= most else None


def _apply(expected: _Expected, key: str, request: Request, depth: int | None) -> str:
    is_mended = request.cmd == "poison" and (request.writer or "").startswith(REDRIVE)
    is_word = request.cmd == "verified" and request.client is None
    if depth is None or request.ref is not None or (request.cmd != "step" and not is_mended and not is_word):
        return "quarantined"
    outcome = step(expected.documents.get(key), request)
    if isinstance(outcome, Rejected):
        return "rejected"
    expected.documents[key] = outcome.state
    for place, emit in enumerate(outcome.emits):
        request_id = str(uuid5(IDS, f"{request.id}/{place}"))
        emitted = Request(
            id=request_id,
            cmd=emit.cmd,
            key=emit.key,
            client=emit.client,
            at=request.at,
            depth=depth + 1,
            data=emit.data,
        )
        expected.emits[request_id] = _Emitted(emitted, key, len(expected.emits))
    return "accepted"
