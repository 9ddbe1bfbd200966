"""One seed: clients send under faults, an operator redrives, and what came of it is judged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from tests.simulation.application import BAD, CLAIMED, OTHERS, WORD, data_of, rules_in
from tests.simulation.clients import Client, Kind
from tests.simulation.judging import Result, Sent, judge
from tests.simulation.pipeline import Pipeline, Pollers
from tests.simulation.redriving import Operator
from tests.simulation.services import Stream
from tests.simulation.uploads import SHARES
from tests.simulation.world import START, World
from tidemill.contract import aggregation
from tidemill.contract.request import Request, encode
from tidemill_consumers.adapters.streams import GAP_SECONDS
from tidemill_consumers.core import pieces
from tidemill_consumers.core.folding.depth import EMIT_DEPTH, LOOP
from tidemill_consumers.operations.redrive import Wanted

FAULT_RATE = 0.2
AWHILE = 0.5
"""Simulated seconds after which it is looked again."""
CALM_SECONDS = 7_200.0
"""Simulated seconds that all may take to settle once nothing fails any more."""

SIZES = (400, 2_000, 25_600)
"""Bytes of a full record: small ones, so that lanes have some that wait behind the one on its way."""

MENDED = Wanted(reason="poison")
"""What the rules can take by now. The unknown command stays unknown, and redriving it quarantines it again."""

LOOPED = Wanted(reason=LOOP, loops=True)
"""What an operator lets go on; after so many emits again it is back."""

SWEEPS = 12

DRAWN = 0.2
"""Share of requests that have an object stored."""

PICTURES = 3
"""Objects of a key, which come again and again."""

UPLOADS = 5
"""One seed of so many has requests whose data was uploaded."""

UNASKED = 0.3
"""Share of seeds whose streams split and merge by themselves, as on-demand ones do."""


def simulate_producers(seed: int, requests: int) -> Result:
    """Run one seed."""
    world = World(seed, FAULT_RATE)
    chance = world.random
    # The same for all: a key of two lanes may be in two shards, and between those there is no order.
    lanes = chance.choice([1, 4, 16])
    pieces.MOST = chance.choice([50_000, 50_000, 4])  # so that there are batches in pieces
    pipeline = pipeline_in(world, lanes)
    clients = [
        Client(world, source.stream, f"{prefix}{seed}-{number}", Kind(lanes, chance.choice(SIZES)))
        for source, prefix in zip(pipeline.sources, ["writer-", OTHERS], strict=False)
        for number in range(chance.randint(1, 4))
    ]
    pipeline.clients = {client.id: client for client in clients}
    keys = [f"key/{number}" for number in range(chance.choice([1, 10, 60]))]
    sent = Sent()
    uploads = chance.choice(SHARES) if seed % UPLOADS == 2 else 0.0
    for source in pipeline.sources:
        source.watch()
    moments = sorted([chance.uniform(START, START + 30.0) for _ in range(requests)], reverse=True)

    def send() -> None:
        if not send_one(world, pipeline, clients, keys, sent, uploads):
            world.after(AWHILE, send)
        elif moments:
            world.at(moments.pop(), send)

    world.at(moments.pop(), send)
    schedule(world, pipeline, sent)
    for _ in range(SWEEPS):
        world.after(chance.uniform(3.0, 45.0), pipeline.sweepers.begin)
    operator = operator_in(world, pipeline, lanes)
    if chance.random() < 0.3:
        world.after(chance.uniform(2.0, 10.0), lambda: _make_again(world, pipeline.sources[-1], clients, operator))
    world.run(lambda: world.now >= START + 35.0, 40.0)
    world.rate = 0.0
    settled = world.run(lambda: len(sent.ids) == requests and is_settled(pipeline, clients, operator), CALM_SECONDS)
    world.run(lambda: False, 10.0)  # what acts late, acts now
    early = set(operator.put_back)
    settled &= redrive_all(pipeline, operator, requests, lambda: is_settled(pipeline, clients, operator))
    return concluded(world, pipeline, operator, sent, early, settled, seed)


def redrive_all(pipeline: Pipeline, operator: Operator, most: int, is_quiet: Callable[[], bool]) -> bool:
    """Put back what the rules can take by now, all of it once more, and what is no repeat but could not be told.

    Returns:
        Whether that came to its end.
    """
    settled, world = True, pipeline.world
    for _ in range(2):
        operator.begin(MENDED, most)
        settled &= world.run(is_quiet, CALM_SECONDS)
        settled &= not operator.is_left(MENDED)
        operator.undo("poison")
    operator.begin(LOOPED, most)
    settled &= world.run(is_quiet, CALM_SECONDS)
    operator.begin_untold(pipeline.log.first)
    return settled & world.run(is_quiet, CALM_SECONDS)


def concluded(
    world: World, pipeline: Pipeline, operator: Operator, sent: Sent, early: set[str], settled: bool, seed: int
) -> Result:
    """What the run came to; `early` as `judge` has it."""
    result = judge(pipeline, sent, early)
    result.redriven = len(operator.put_back)
    result.wrong += pipeline.topic.too_early + (not settled)
    result.faults = world.faults.copy()
    result.seeds = 1
    world.bury()
    if not result.holds:
        result.failed_seeds = [seed]
    return result


def pipeline_in(world: World, lanes: int, shards: Sequence[int] = (1, 2, 3, 4)) -> Pipeline:
    """The pipeline, of which much is left to chance."""
    chance = world.random
    return Pipeline(
        world,
        rules_in(world),
        chance.choice(shards),
        chance.choice([10, 50, 200]),
        chance.choice([0.0, 0.5, 2.0]),
        lanes,
        has_other=chance.random() < 0.3,
        has_secret=chance.random() < 0.3,
        emit_depth=chance.choice([1, 3, EMIT_DEPTH]),
    )


def schedule(world: World, pipeline: Pipeline, sent: Sent, seconds: float = 30.0) -> None:
    """What happens to the streams in so many seconds: shards split and merge, and what no request is arrives."""
    chance = world.random
    for _ in range(chance.randrange(5)):
        world.after(chance.uniform(0.0, seconds), chance.choice(pipeline.sources).stream.reshard)
    if chance.random() < UNASKED:
        # Several in a row: shards close again before anybody has read them, or their parents.
        for _ in range(chance.randint(1, 4)):
            stream, moment = chance.choice(pipeline.sources).stream, chance.uniform(0.0, seconds)
            for _ in range(chance.randint(3, 12)):
                moment += chance.choice([0.0, 0.01, 0.5])
                world.after(moment, stream.reshard)
    for _ in range(10):
        world.after(chance.uniform(0.0, seconds), lambda: _put_junk(world, pipeline, sent))


def operator_in(world: World, pipeline: Pipeline, lanes: int) -> Operator:
    """An operator, who looks into the quarantine now and then."""
    chance = world.random
    operator = Operator(world, pipeline.stream, pipeline.bucket, lanes, pipeline.seals)
    for moment in [chance.uniform(1.0, 34.0) for _ in range(4)]:
        for _ in range(chance.randint(1, 2)):  # perhaps two at once
            wanted = Wanted() if chance.random() < 0.1 else LOOPED if chance.random() < 0.2 else MENDED
            world.after(moment, partial(operator.begin, wanted, most=4))
    return operator


def _make_again(world: World, source: Pollers, clients: list[Client], operator: Operator) -> None:
    """Delete the stream once it is drained, and make it again, with environments that have known it all the while."""
    stream = source.stream
    stream.is_closing = True

    def look() -> None:
        if operator.at_work or not source.idle or any(one.pending for one in clients if one.stream is stream):
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


def send_one(
    world: World, pipeline: Pipeline, clients: Sequence[Client], keys: list[str], sent: Sent, uploads: float = 0.0
) -> bool:
    """Have one of the clients send; whether there was a stream to send to. `uploads`: the share of uploaded data."""
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
    then = _follow_ups(world, keys, pipeline.seals is not None) if 0.02 < fate < 0.06 else []
    round_of = None
    if 0.06 < fate < 0.062:
        round_of = [
            chance.randint(1, 2 * pipeline.emit_depth),
            *[chance.choice(keys) for _ in range(chance.randint(1, 3))],
        ]
    depth = chance.choice([1, 99]) if chance.random() < 0.05 else 0  # which a client may state, to no effect
    draw = chance.randrange(PICTURES) if chance.random() < DRAWN else None
    data = data_of(fate > 0.95, fate > 0.8 or fate < 0.005, then, round_of, draw)
    if uploads and chance.random() < uploads:
        sent.ids.append(pipeline.uploads.send(client, clients, pipeline.topic, cmd, key, data))
    else:
        sent.ids.append(client.send(cmd, key, data, depth))
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


def _put_junk(world: World, pipeline: Pipeline, sent: Sent) -> None:
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


def _put_refused(world: World, pipeline: Pipeline, stream: Stream, sent: Sent) -> None:
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
    pipeline.refused_records.add(record)
    stream.put(f"key/{chance.randrange(5)}", record)


def is_settled(pipeline: Pipeline, clients: Collection[Client], operator: Operator) -> bool:
    """Whether all is sent and done."""
    if operator.at_work or any(client.pending for client in clients):
        return False
    return all(source.idle and not source.stream.is_closing for source in pipeline.sources)
