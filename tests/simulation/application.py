"""The simulated application: every outcome that there is, and a document that shows order."""

from __future__ import annotations

import zlib
from typing import Any

from greenlet import getcurrent

from tests.simulation.world import World
from tidemill.contract.request import REDRIVE, Request
from tidemill_consumers.core.batch import Accepted, Blob, Emit, Rejected, Rule, State, Verified, ref
from tidemill_consumers.core.calling.asking import Stopped

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
    pictures = tuple(Blob(f"{request.key} {number}".encode()) for number in data.get("draw", ()))
    drawn = {f"{name}_picture": ref(pictures[0])} if pictures else {}
    emits = [_emit(request, *asked) for asked in data.get("then", ())]
    left, *ring = data.get("round", [0])
    if left:
        emits.append(Emit("step", ring[left % len(ring)], data_of(round_of=[left - 1, *ring])))
    return Accepted({**before, "n": before["n"] + 1, name: chain, **drawn}, answer, tuple(emits), pictures)


def _emit(cause: Request, key: str, then: list[Any], as_what: str = "") -> Emit:
    """A follow-up request; of one that takes verified clients only, as the application's own word or for the client."""
    client = cause.client if as_what == CLAIMED else None
    return Emit("verified" if as_what else "step", key, data_of(then=then), client)


def data_of(
    refuse: bool = False,
    ask: bool = False,
    then: list[Any] | None = None,
    round_of: list[Any] | None = None,
    draw: int | None = None,
) -> dict[str, Any]:
    """A request's: whether it is to be rejected, whether it wants an answer, what it is to emit, which picture to draw.

    `round_of` makes a loop: how often it is still to go on, and the keys that it goes round by. It ends of itself, so
    that a run with a mutant that does not stop it ends too.
    """
    flags: dict[str, Any] = {"refuse": refuse, "ask": ask}
    flags |= {"then": then} if then else {}
    flags |= {} if draw is None else {"draw": [draw]}
    return flags | {"round": round_of} if round_of else flags


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
