"""Applies requests under faults and holds the outcome against what the stream's log says it must be.

    python tests/simulation/run.py --requests 1000000 [--seed N] [--json out.json]

Each seed is a run of its own; `--seed N` replays one.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import sys
import time
import zlib
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid5

import msgspec
from greenlet import getcurrent

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.simulation.pipeline import Client, Pipeline, Pollers
from tests.simulation.redriving import Operator
from tests.simulation.services import Stream
from tests.simulation.world import START, World
from tidemill.contract import aggregation
from tidemill.contract.request import REDRIVE, Request, encode
from tidemill_consumers.adapters.quarantine import read
from tidemill_consumers.adapters.streams import GAP_SECONDS
from tidemill_consumers.codec.items import from_item
from tidemill_consumers.core import pieces
from tidemill_consumers.core.batch import Accepted, Emit, Rejected, Rule, State, Verified
from tidemill_consumers.core.calling.asking import Stopped
from tidemill_consumers.core.emits import EMITTER, IDS
from tidemill_consumers.operations.redrive import Wanted

REQUESTS_PER_SEED = 2_000
FAULT_RATE = 0.2
PROGRESS_SECONDS = 10.0
AWHILE = 0.5
"""Simulated seconds after which it is looked again."""
CALM_SECONDS = 7_200.0
"""Simulated seconds that all may take to settle once nothing fails any more."""


# ── The application: every outcome there is, and a document that shows order ─────────────────────────────────


BLANK = {"n": 0, "chain": 0, "other": 0}
OTHERS = "other-"
"""How the writers of those begin that send to the other stream. Between the two streams' requests there is no order."""


def step(state: State, request: Request) -> Accepted | Rejected:
    """Counts, and chains a checksum of what each stream had applied, so that another order gives another document."""
    before, data = state or BLANK, request.data
    if data["refuse"]:
        return Rejected("as it asks for")
    name = "other" if (request.writer or "").startswith(OTHERS) else "chain"
    chain = zlib.crc32(f"{request.writer} {request.counter}".encode(), before[name])
    answer = {"chain": chain} if data["ask"] else None
    emits = [_emit(request, *asked) for asked in data.get("then", ())]
    return Accepted({**before, "n": before["n"] + 1, name: chain}, answer, tuple(emits))


def _emit(cause: Request, key: str, then: list[Any], as_what: str = "") -> Emit:
    """A follow-up request; of one that takes verified clients only, as the application's own word or for the client."""
    client = cause.client if as_what == CLAIMED else None
    return Emit("verified" if as_what else "step", key, _data(then=then), client)


def _data(refuse: bool = False, ask: bool = False, then: list[Any] | None = None) -> dict[str, Any]:
    """A request's: whether it is to be rejected, whether it wants an answer, what it is to emit."""
    flags = {"refuse": refuse, "ask": ask}
    return flags | {"then": then} if then else flags


def poison(state: State, request: Request) -> Accepted | Rejected:
    """Raises, as rules should not, until it is redriven: by then it has been mended."""
    if not (request.writer or "").startswith(REDRIVE):
        raise ValueError("poison")
    return step(state, request)


def careless(rule: Rule) -> Rule:
    """The rule, which makes a mess of what it was given."""

    def messing(state: State, request: Request) -> Accepted | Rejected:
        outcome = rule(state, request)
        request.data.clear()
        if state:
            state.clear()
        return outcome

    return messing


def leave(state: State, request: Request) -> Accepted | Rejected:
    """Ends as no rule should."""
    raise SystemExit("left")


def rules_in(world: World) -> dict[str, Rule]:
    """The rules, of which one ends its process, and one does not come back."""

    def kill(state: State, request: Request) -> Accepted | Rejected:
        world.end_process()

    def hang(state: State, request: Request) -> Accepted | Rejected:
        watch = world.watches[getcurrent()]
        while not watch.tick():
            world.sleep(1.0)
        raise Stopped("it took too long")

    good: dict[str, Rule] = {"step": careless(step), "poison": careless(poison), "verified": Verified(careless(step))}
    return good | {"kill": kill, "hang": hang, "leave": leave}


BAD = ("kill", "hang", "leave")
WORD, CLAIMED = "word", "claimed"
"""What an emit to a rule for verified clients is: the application's own, or for a client that nobody has proven."""


# ── One seed ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Result:
    """What a run, or several, came to."""

    requests: int = 0
    emitted: int = 0
    redriven: int = 0
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
    seeds: int = 0
    failed_seeds: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.lost or self.double or self.reordered or self.unanswered or self.wrong)

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
class _Sent:
    """What the clients did."""

    ids: list[str] = field(default_factory=list)
    junk: list[bytes] = field(default_factory=list)
    refused: set[bytes] = field(default_factory=set)
    """Records of which no part is a request."""


MENDED = Wanted(reason="poison")
"""What the rules can take by now. The unknown command stays unknown, and redriving it quarantines it again."""


def simulate(seed: int, requests: int = REQUESTS_PER_SEED) -> Result:
    """Run one seed."""
    logging.disable(logging.CRITICAL)  # the code under test has a lot to complain of
    world = World(seed, FAULT_RATE)
    chance = world.random
    # The same for all: a key of two lanes may be in two shards, and between those there is no order.
    lanes = chance.choice([1, 4, 16])
    pieces.MOST = chance.choice([50_000, 50_000, 4])  # so that there are batches in pieces
    pipeline = _pipeline(world, lanes)
    clients = [
        Client(world, source.stream, f"{prefix}{seed}-{number}", lanes)
        for source, prefix in zip(pipeline.sources, ["writer-", OTHERS], strict=False)
        for number in range(chance.randint(1, 4))
    ]
    pipeline.clients = {client.writer.id: client for client in clients}
    keys = [f"key/{number}" for number in range(chance.choice([1, 10, 60]))]
    sent = _Sent()
    for source in pipeline.sources:
        source.watch()
    moments = sorted([chance.uniform(START, START + 30.0) for _ in range(requests)], reverse=True)

    def send() -> None:
        if not _send(world, clients, keys, sent, pipeline.seals is not None):
            world.after(AWHILE, send)
        elif moments:
            world.at(moments.pop(), send)

    world.at(moments.pop(), send)
    _schedule(world, pipeline, sent)
    operator = _operator(world, pipeline, lanes)
    pipeline.put_back = operator.put_back
    if chance.random() < 0.3:
        world.after(chance.uniform(2.0, 10.0), lambda: _make_again(world, pipeline.sources[-1], clients, operator))
    world.run(lambda: world.now >= START + 35.0, 40.0)
    world.rate = 0.0
    settled = world.run(lambda: len(sent.ids) == requests and _is_settled(pipeline, clients, operator), CALM_SECONDS)
    world.run(lambda: False, 10.0)  # what acts late, acts now
    early = set(operator.put_back)
    for _ in range(2):
        operator.begin(MENDED, most=requests)
        settled &= world.run(lambda: _is_settled(pipeline, clients, operator), CALM_SECONDS)
        settled &= not operator.is_left(MENDED)
        operator.undo("poison")  # and all of it once more
    result = _judge(pipeline, sent, early)
    result.redriven = len(operator.put_back)
    result.wrong += pipeline.topic.too_early + (not settled)
    result.faults = world.faults.copy()
    result.seeds = 1
    world.bury()
    if not result.holds:
        result.failed_seeds = [seed]
    return result


def _pipeline(world: World, lanes: int) -> Pipeline:
    chance = world.random
    return Pipeline(
        world,
        rules_in(world),
        chance.randint(1, 4),
        chance.choice([10, 50, 200]),
        chance.choice([0.0, 0.5, 2.0]),
        lanes,
        has_other=chance.random() < 0.3,
        has_secret=chance.random() < 0.3,
    )


def _schedule(world: World, pipeline: Pipeline, sent: _Sent) -> None:
    """What happens to the streams at any time: shards split and merge, and what no request is arrives."""
    chance = world.random
    for _ in range(chance.randrange(5)):
        world.after(chance.uniform(0.0, 30.0), chance.choice(pipeline.sources).stream.reshard)
    for _ in range(10):
        world.after(chance.uniform(0.0, 30.0), lambda: _put_junk(world, pipeline, sent))


def _operator(world: World, pipeline: Pipeline, lanes: int) -> Operator:
    chance = world.random
    operator = Operator(world, pipeline.stream, pipeline.bucket, lanes, pipeline.seals)
    for moment in [chance.uniform(1.0, 34.0) for _ in range(4)]:
        for _ in range(chance.randint(1, 2)):  # perhaps two at once
            wanted = Wanted() if chance.random() < 0.1 else MENDED
            world.after(moment, partial(operator.begin, wanted, most=4))
    return operator


def _make_again(world: World, source: Pollers, clients: list[Client], operator: Operator) -> None:
    """Delete the stream once it is drained, and make it again, with environments that have known it all the while."""
    stream = source.stream
    stream.is_closing = True

    def look() -> None:
        if operator.at_work or not source.idle or any(one.scheduler.pending for one in clients if one.stream is stream):
            world.after(AWHILE, look)
            return
        stream.delete()
        source.begin_anew()
        world.after(GAP_SECONDS + world.random.uniform(0.1, 3.0), make)

    def make() -> None:
        stream.make()
        stream.is_closing = False
        world.faults["stream made again"] += 1

    look()


def _send(world: World, clients: list[Client], keys: list[str], sent: _Sent, has_secret: bool) -> bool:
    """Whether there was a stream to send to."""
    chance = world.random
    open_clients = [client for client in clients if not client.stream.is_closing]
    if not open_clients:
        return False
    client = chance.choice(open_clients)
    key = keys[min(int(chance.paretovariate(1.0)), len(keys)) - 1]
    fate = chance.random()
    cmd = "poison" if fate < 0.01 else "nobody.knows" if fate < 0.02 else "step"
    if chance.random() < 0.003:
        cmd = chance.choice(BAD)
    then = _follow_ups(world, keys, has_secret) if 0.02 < fate < 0.06 else []
    sent.ids.append(client.send(cmd, key, _data(fate > 0.95, fate > 0.8 or fate < 0.005, then)))
    return True


def _follow_ups(world: World, keys: list[str], has_secret: bool) -> list[Any]:
    """Keys to emit to, some more than once, and what those emit in their turn."""
    chance = world.random
    targets = [chance.choice(keys) for _ in range(2)]
    kinds = ["", "", WORD, CLAIMED] if has_secret else [""]
    return [
        [
            chance.choice(targets),
            _follow_ups(world, keys, has_secret) if chance.random() < 0.1 else [],
            chance.choice(kinds),
        ]
        for _ in range(chance.randint(1, 3))
    ]


def _put_junk(world: World, pipeline: Pipeline, sent: _Sent) -> None:
    """What no request is: bytes, broken JSON, an aggregate whose checksum is wrong."""
    chance = world.random
    stream = chance.choice(pipeline.sources).stream
    if stream.is_closing:
        return world.after(AWHILE, lambda: _put_junk(world, pipeline, sent))
    if chance.random() < 0.3:
        return _put_refused(world, pipeline, stream, sent)
    junk = chance.choice([b'{"cmd":', bytes([0xF3, 0x89, 0x9A, 0xC2, 1, 2, 3]) + chance.randbytes(30), b"\xff\xfe"])
    junk += chance.randbytes(4)
    stream.put(f"key/{chance.randrange(5)}", junk)
    sent.junk.append(junk)
    return None


def _put_refused(world: World, pipeline: Pipeline, stream: Stream, sent: _Sent) -> None:
    """An aggregate of what is no request: misrouted, of another version, bytes. The first two ask for an answer."""
    chance = world.random
    client = chance.choice(list(pipeline.clients))
    wrong = [Request(id=f"{chance.random()}", cmd="step", key="elsewhere", client=client, data={}) for _ in range(2)]
    payloads = [encode(wrong[0]), encode(wrong[1]).replace(b'"v":1', b'"v":9'), b"\xff" + chance.randbytes(4)]
    pipeline.refused |= {one.id: payload for one, payload in zip(wrong, payloads, strict=False)}
    sent.junk += payloads
    record = aggregation.pack(
        [aggregation.UserRecord(f"key/{place}", payload) for place, payload in enumerate(payloads)]
    )
    sent.refused.add(record)
    stream.put(f"key/{chance.randrange(5)}", record)


def _is_settled(pipeline: Pipeline, clients: list[Client], operator: Operator) -> bool:
    if operator.at_work or any(client.scheduler.pending for client in clients):
        return False
    return all(source.idle and not source.stream.is_closing for source in pipeline.sources)


# ── What must have come of it ────────────────────────────────────────────────────────────────────────────────


def _judge(pipeline: Pipeline, sent: _Sent, early: set[str]) -> Result:
    """What went wrong. `early`: ids redriven while things failed, whose first outcome may be told late, or never."""
    result = Result(requests=len(sent.ids) + len(sent.junk))
    expected = _expected(pipeline, sent)
    statuses = expected.statuses
    result.emitted, result.reordered, result.wrong = len(expected.emits), expected.reordered, expected.foreign
    result.lost = sum(one not in statuses for one in expected.emits)
    result.lost += sum(statuses[one] != "accepted" for one in expected.poisoned)
    actual = {key: from_item(item).document for key, item in pipeline.table.items.items()}
    for key, document in expected.documents.items():
        found = actual.get(key)
        if found != document:
            wanted, got = (int(str((one or {"n": 0})["n"])) for one in (document, found))
            result.lost += max(0, wanted - got)
            result.double += max(0, got - wanted)
            result.reordered += wanted == got
    result.lost += sum(one not in statuses for one in sent.ids)
    for one in sent.ids:
        heard = pipeline.topic.heard.get(one)
        if not heard:
            result.unanswered += 1
            continue
        outcomes = {expected.firsts.get(one), statuses.get(one)}
        if one in early:
            # Put back before its first outcome had left, it may only hear of the second.
            result.wrong += statuses.get(one) not in heard or not outcomes.issuperset(heard)
        else:
            result.wrong += heard != outcomes or pipeline.topic.last[one] != statuses.get(one)
    objects = {name.partition("/")[2]: body for name, body in pipeline.bucket.objects.items()}
    kept = [part.payload for body in objects.values() for part in read(body).all_parts]
    for one in pipeline.refused:
        heard = pipeline.topic.heard.get(one)
        result.unanswered += not heard
        result.wrong += bool(heard) and heard != {"quarantined"}
    result.lost += sum(junk not in kept for junk in sent.junk)
    quarantined = expected.quarantined
    result.double += max(0, len(kept) - quarantined - len(sent.junk))
    result.lost += max(0, quarantined + len(sent.junk) - len(kept))
    result.invocations = sum(source.invocations for source in pipeline.sources)
    result.distinct_keys_written = pipeline.table.written
    result.dynamodb_write_calls = pipeline.write_calls
    result.write_units, result.saved_units = pipeline.table.units, pipeline.table.saved_units
    return result


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
    quarantined: int = 0
    """Outcomes so, of which a request that is redriven may have several."""
    emits: dict[str, _Emitted] = field(default_factory=dict)
    """The follow-up requests, by id."""
    reordered: int = 0
    """How often a producer's order was not the log's."""
    foreign: int = 0
    """Follow-up requests on the stream that no rule asked for so."""


def _expected(pipeline: Pipeline, sent: _Sent) -> _Expected:
    expected = _Expected()
    last: dict[tuple[str, str], int] = {}
    counters: dict[str, dict[int, int]] = defaultdict(dict)  # of emits, by writer and place
    redriven: set[str] = set()
    requests: dict[bytes, list[Request]] = {}  # what a producer put again need not be read again
    # The own stream comes last, for what the other's requests emit stands there.
    for record in [record for source in reversed(pipeline.sources) for record in source.stream.log]:
        if record.data not in requests:
            requests[record.data] = [] if record.data in sent.refused else _requests(record.data)
        for request in requests[record.data]:
            key, writer, counter = request.key or "", request.writer or "", request.counter or 0
            if writer.startswith(EMITTER):
                emitted = expected.emits.get(request.id)
                expected.foreign += not emitted or not _is_as_asked(request, emitted)
                if emitted:
                    counters[writer][emitted.place] = counter
            is_redriven = writer.startswith(REDRIVE)
            # One that was sealed takes along what it was, and is known by that wherever it lay.
            known_as = f"{request.was.writer} {request.was.counter}" if request.was else writer
            if known_as in redriven or (request.id in expected.statuses and not is_redriven):
                continue
            if is_redriven:
                redriven.add(known_as)
            expected.reordered += counter <= last.get((key, writer), 0)
            last[key, writer] = counter
            status = _apply(expected, key, request)
            expected.statuses[request.id] = status
            if request.cmd == "poison":
                expected.poisoned.add(request.id)
            expected.firsts.setdefault(request.id, status)
            expected.quarantined += status == "quarantined"
    for by_place in counters.values():
        in_order = [counter for _, counter in sorted(by_place.items())]
        expected.reordered += in_order != sorted(set(in_order))
    return expected


def _is_as_asked(request: Request, emitted: _Emitted) -> bool:
    writer = request.writer or ""
    bare = msgspec.structs.replace(request, writer=None, counter=None, sig=None)
    return bare == emitted.request and writer.endswith(f"/{emitted.key}")


_decoder = msgspec.json.Decoder(Request)


def _requests(data: bytes) -> list[Request]:
    try:
        payloads = aggregation.unpack_columns(data)[1] if aggregation.is_aggregate(data) else []
    except aggregation.CorruptAggregate:
        return []
    return _decoder.decode_lines(b"\n".join(payloads))


def _apply(expected: _Expected, key: str, request: Request) -> str:
    is_mended = request.cmd == "poison" and (request.writer or "").startswith(REDRIVE)
    is_word = request.cmd == "verified" and request.client is None
    if request.cmd != "step" and not is_mended and not is_word:
        return "quarantined"
    outcome = step(expected.documents.get(key), request)
    if isinstance(outcome, Rejected):
        return "rejected"
    expected.documents[key] = outcome.state
    for place, emit in enumerate(outcome.emits):
        request_id = str(uuid5(IDS, f"{request.id}/{place}"))
        emitted = Request(id=request_id, cmd=emit.cmd, key=emit.key, client=emit.client, at=request.at, data=emit.data)
        expected.emits[request_id] = _Emitted(emitted, key, len(expected.emits))
    return "accepted"


# ── Many seeds ───────────────────────────────────────────────────────────────────────────────────────────────


def main() -> int:
    """Run the seeds and report; 0 when nothing went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000, help="in all")
    parser.add_argument("--seed", type=int, help="replay this one")
    parser.add_argument("--size", type=int, default=REQUESTS_PER_SEED, help="requests of a seed")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the result to PATH")
    args = parser.parse_args()
    first = args.seed if args.seed is not None else args.first_seed
    count = 1 if args.seed is not None else -(-args.requests // args.size)
    total, begun = Result(), time.monotonic()
    workers = ProcessPoolExecutor(2, initializer=_spare_collections)
    shown = begun
    try:
        for result in workers.map(partial(_simulate, args.size), range(first, first + count), chunksize=5):
            total.add(result)
            for seed in result.failed_seeds:
                size = shrink(seed)
                print(f"seed {seed} fails; replay it: make simulate ARGS='--seed {seed} --size {size}'", flush=True)
            if time.monotonic() - shown >= PROGRESS_SECONDS:
                shown = time.monotonic()
                print(f"  {total.requests:,} requests, {total.seeds:,} of {count:,} seeds", flush=True)
    except KeyboardInterrupt:
        print("stopped; what ran so far:")
    finally:
        workers.shutdown(cancel_futures=True)
    total.seconds = round(time.monotonic() - begun, 1)
    report(total)
    if args.json:
        args.json.write_text(json.dumps(as_json(total), indent=2) + "\n")
    return 0 if total.holds else 1


def _spare_collections() -> None:
    """Have a worker's garbage collector look at what seeds leave behind, and only between them."""
    gc.freeze()
    gc.disable()


def _simulate(requests: int, seed: int) -> Result:
    """Run one seed in a worker."""
    result = simulate(seed, requests)
    gc.collect()
    return result


def shrink(seed: int) -> int:
    """The fewest requests, by halves, with which the seed still fails."""
    size = REQUESTS_PER_SEED
    while size > 1 and not simulate(seed, size // 2).holds:
        size //= 2
    return size


def as_json(total: Result) -> dict[str, Any]:
    """The result, machine-readable."""
    figures = asdict(total)
    units, saved = figures.pop("write_units"), figures.pop("saved_units")
    return figures | {
        "faults": dict(total.faults),
        "wcu_per_request": round(units / max(1, total.requests), 4),
        "wcu_per_saved_wcu": round(units / max(1, saved), 4),
    }


def report(total: Result) -> None:
    """The result, for a reader."""
    print(f"{total.requests:,} requests, {total.seeds:,} seeds, {total.faults.total():,} faults, {total.seconds} s")
    print(f"{total.emitted:,} follow-up requests besides, {total.redriven:,} redriven")
    for name, count in total.faults.most_common():
        print(f"  {count:>9,}  {name}")
    print(
        f"lost {total.lost}, double {total.double}, reordered {total.reordered}, unanswered {total.unanswered}, "
        f"answered wrongly {total.wrong}"
    )
    units = total.write_units / max(1, total.requests)
    print(f"{total.invocations:,} invocations, {total.dynamodb_write_calls:,} write calls, {units:.3f} WCU per request")
    wasted = total.write_units / max(1, total.saved_units) - 1
    print(f"{total.distinct_keys_written:,} keys saved; {wasted:.1%} more WCU for writes that were refused")


if __name__ == "__main__":
    sys.exit(main())
