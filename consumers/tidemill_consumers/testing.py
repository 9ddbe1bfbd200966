"""For an application's tests of its rules: applies requests without a stream, a table or a process.

Room: for the tests of applications. No I/O. The apply function's own code decides, so a rule has the same effect here.
Time is not limited, so that a debugger can stop within a rule. `verified=True` stands for a client's signature, and
`internal=True` for the application's own seal; `add` stands for the analytics stage.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from time import time

from msgspec import to_builtins
from msgspec.json import encode as encode_json
from msgspec.structs import replace

from tidemill.contract.claim_check import claim_check
from tidemill.contract.request import (
    MAX_REQUEST_BYTES,
    STAGE,
    ClaimCheck,
    Document,
    Json,
    Reply,
    Request,
    Status,
    decode,
)
from tidemill.contract.validation import to_payload
from tidemill_consumers.adapters.telling import traceback_lines
from tidemill_consumers.codec.uploads import with_data
from tidemill_consumers.core.batch import (
    Accepted,
    Aggregatable,
    Arrival,
    Blob,
    Entity,
    Position,
    Proof,
    Rejected,
    Rules,
    State,
    Write,
    fresh,
)
from tidemill_consumers.core.calling.routing import problem_of
from tidemill_consumers.core.folding.depth import EMIT_DEPTH
from tidemill_consumers.core.item_limits import unstorable
from tidemill_consumers.core.outcomes import reply_of
from tidemill_consumers.core.plan import plan
from tidemill_consumers.core.streams import shard_of
from tidemill_consumers.core.trust import Seals, examine, of_stage

MOST_FOLLOW_UPS = 1000
"""Follow-up requests that one `send` may cause; more of them raise EndlessEmits."""

RETENTION = 86_400.0

_STREAM = "trial"
_GENERATION = "20260101T000000Z-trial0"
_SHARD = shard_of(_STREAM, "shardId-000000000000")
_SEALS = Seals(_STREAM, ["what the trial seals its own requests with in memory"])


@dataclass(frozen=True, slots=True)
class Outcome:
    """A request's outcome.

    Attributes:
        request: the request, as it was on the stream.
        status: "accepted", "rejected" or "quarantined".
        data: the answer of the rule that accepted it.
        error: why it was rejected or quarantined.
        emits: the follow-up requests that its rule emitted; their outcomes are among the trial's.
        objects: the objects that it had stored.
        traceback: of the rule's exception, as in the function's log; else empty.
    """

    request: Request
    status: Status
    data: Json = None
    error: str | None = None
    emits: tuple[Request, ...] = ()
    objects: tuple[Blob, ...] = ()
    traceback: str = ""


class Trial:
    """Rules, and the documents after the requests so far.

        shop = Trial(RULES, {"item/42": {"stock": 1}})
        sold = shop.send("item.reserve", key="item/42", data={"count": 1}, client="phone-1")
        assert (sold.status, sold.data) == ("accepted", {"left": 0})
        assert shop.document("item/42") == {"stock": 0}

    Args:
        rules: the application's RULES.
        documents: the initial documents, by key.
        emit_depth: the most emits that may lead to a request, as the template's `EmitDepth`; what is emitted beyond is
            quarantined.

    Raises:
        ValueError: the rules are not a table of rules, or the table cannot hold a document; says which.
    """

    def __init__(
        self, rules: Rules, documents: Mapping[str, Document] | None = None, *, emit_depth: int = EMIT_DEPTH
    ) -> None:
        if problem := problem_of(rules):
            raise ValueError(problem)
        self._rules = rules
        self._emit_depth = emit_depth
        self._entities: dict[str, Entity] = {}
        self._totals: dict[tuple[str, str], int] = {}
        self._count = 0
        self.outcomes: list[Outcome] = []
        """The outcomes of all requests so far, including those that rules emitted."""
        self.objects: dict[str, Blob] = {}
        """All objects that were stored so far, by name: what `ref` puts into documents as `object`."""
        for key, document in (documents or {}).items():
            if problem := unstorable(document):
                raise ValueError(f"the document of {key} cannot be stored: {problem}")
            self._entities[key] = Entity(key, 1, to_builtins(document))

    def send(
        self,
        cmd: str,
        *,
        key: str,
        data: Document | None = None,
        client: str | None = None,
        id: str | None = None,  # noqa: A002 - as the producer's
        at: int | None = None,
        verified: bool = False,
        internal: bool = False,
    ) -> Outcome:
        """Apply a request, then the follow-up requests of its rule; the request's outcome.

        Args:
            cmd: the command.
            key: the ordering key.
            data: the command's data.
            client: the client that sends it.
            id: the request's id; None numbers the trial's requests.
            at: the client's clock in milliseconds since 1970; None is now.
            verified: whether a signature proves that client, as rules in `Verified` demand.
            internal: whether the application itself sends it, as rules in `Internal` demand.

        Raises:
            UnsendableRequest: `Producer.send` would refuse it too.
            EndlessEmits: its follow-up requests do not end.
        """
        number = self._count + 1
        now = int(time() * 1000) if at is None else at
        request = Request(
            id=id or f"request-{number}",
            cmd=cmd,
            key=key,
            client=client,
            writer="trial",
            counter=number,
            at=now,
            data={} if data is None else data,
        )
        arrival = self._arrival(request)
        proof = Proof(client=client if verified else None, is_own=internal) if verified or internal else None
        outcome = self._apply(replace(arrival, proof=proof))
        self._follow(outcome)
        return outcome

    def add(self, cmd: str, amount: int, *, key: str) -> Outcome:
        """Apply an amount as the analytics stage brings it, for a command in `Aggregatable`; the outcome.

        A rule for a total must leave the same document as if the requests that the amount is of had been sent.

        Args:
            cmd: the command.
            amount: what the requests of a window come to, 0 or more.
            key: the ordering key.

        Raises:
            ValueError: the command is none of those, or the amount is below 0.
        """
        rule = self._rules.get(cmd)
        if not isinstance(rule, Aggregatable):
            raise ValueError(f"{cmd} is not in Aggregatable, so the stage never brings it")
        if amount < 0:
            raise ValueError(f"{amount}: requests never come to less than 0")
        total = self._totals[key, cmd] = self._totals.get((key, cmd), 0) + amount
        number = self._count + 1
        request = Request(
            id=f"request-{number}",
            cmd=cmd,
            key=key,
            writer=f"{STAGE}{_GENERATION}/{cmd}",
            counter=number,
            data={"total": total, "of": number},
        )
        before = self.document(key)
        outcome = self._apply(of_stage(self._arrival(request), is_its_stream=True), partial(rule.rule, before, amount))
        self._follow(outcome)
        return outcome

    def document(self, key: str) -> State:
        """The document of a key; None if there is none."""
        found: State = to_builtins(self._entities.get(key, Entity(key)).document)
        return found

    @property
    def quarantined(self) -> list[Outcome]:
        """The quarantined ones of the outcomes so far."""
        return [one for one in self.outcomes if one.status == "quarantined"]

    def _arrival(self, request: Request) -> Arrival:
        """The request as it comes off the stream."""
        ref, body = _large(request)
        payload = to_payload(request if ref is None else replace(request, data={}, ref=ref))
        self._count += 1
        key = request.key or ""
        arrival = Arrival(_SHARD, Position(self._count, 0), float(self._count), key, decode(payload), payload)
        return arrival if ref is None else with_data(arrival, ref, body)

    def _follow(self, cause: Outcome) -> None:
        waiting = deque(cause.emits)
        followed = 0
        while waiting:
            followed += 1
            if followed > MOST_FOLLOW_UPS:
                raise EndlessEmits(f"{cause.request.cmd} sets off more than {MOST_FOLLOW_UPS} requests")
            sealed = self._arrival(_SEALS.seal(waiting.popleft()))
            examined = examine(sealed, _STREAM, _SEALS)
            assert isinstance(examined, Arrival), "an emitted request claims nothing"  # noqa: S101
            waiting.extend(self._apply(examined).emits)

    def _apply(self, arrival: Arrival, again: Callable[[], Accepted | Rejected] | None = None) -> Outcome:
        """Apply an arrival. `again` asks the rule once more, where the reason for which it rejected is not kept."""
        (write,) = plan([arrival], self._entities, self._rules, RETENTION, emit_depth=self._emit_depth).writes
        if write.new_entity:
            self._entities[write.key] = write.new_entity
        stored = {one.name: Blob(one.data, one.content_type) for one in write.objects}
        self.objects |= stored
        reply = _reply(write, arrival.request, again)
        outcome = Outcome(
            request=fresh(arrival).request,  # a rule may have changed arrival.request
            status=reply.status,
            data=reply.data,
            error=reply.error,
            emits=tuple(request for emitted in write.emits for request in emitted.requests),
            objects=tuple(stored.values()),
            traceback="\n".join(line for one in write.quarantine for line in traceback_lines(one.trace)),
        )
        self.outcomes.append(outcome)
        return outcome


def _large(request: Request) -> tuple[ClaimCheck | None, bytes]:
    """The claim check and the JSON of data that a producer with a bucket would upload, at the latest; else None."""
    try:
        body = encode_json(request.data)
    except (ValueError, TypeError, RecursionError):
        return None, b""  # `to_payload` says what is wrong
    is_large = request.client is not None and len(body) > MAX_REQUEST_BYTES // 2
    return (claim_check(request.client or "", body) if is_large else None), body


class EndlessEmits(Exception):
    """A request sets off more requests than a trial follows.

    On the stream `EmitDepth` ends each chain of emits, however many chains there are by then.
    """


def _reply(write: Write, request: Request, again: Callable[[], Accepted | Rejected] | None) -> Reply:
    """The reply, even where the request names no client: an entity keeps all replies but the plain "accepted".

    Of the stage's requests it keeps none: what their rule said is asked `again`.
    """
    if write.quarantine:
        return Reply(request.id, "quarantined", error=write.quarantine[0].reason)
    if again is not None:
        said = again()
        rejected = Reply(request.id, "rejected", error=said.reason) if isinstance(said, Rejected) else None
        return rejected or Reply(request.id, "accepted")
    kept = write.new_entity and write.new_entity.recent.get(request.id)
    return (reply_of(kept) if kept else None) or Reply(request.id, "accepted")
