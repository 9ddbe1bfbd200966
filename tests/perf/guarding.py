"""What the guards against foreign code cost a batch of rules that behave: each guard alone, as a share of the batch.

Whole batches differ by more from one to the next than all guards together. So a rule's calls are taken alone, some
hundred with their guards and as many without in turns, and what that is more for a batch's requests is held against the
batch's time; so is the note of its delivery, and its timer.

There is no switch for the guards. Without them a rule is called with the document and the request as they are, and what
it returns is taken as it is, but for the look whether DynamoDB can hold a changed document, which every application
needs.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from statistics import median

from tests.perf.consuming import BATCH, PLAIN, forget, ours
from tests.perf.measure import AT_MOST, TURNS, Result, cpu_seconds, one_core, result
from tests.perf.powertools import Context
from tests.perf.workload import KEYS, STREAM, key_of
from tidemill_consumers.apply import apply
from tidemill_consumers.codec.events import KinesisEvent, intake
from tidemill_consumers.composition import Application, application, half_of
from tidemill_consumers.core.batch import Accepted, Arrival, Rejected, Rule, State
from tidemill_consumers.core.calling.asking import RuleOutcome, Taken, Watch, ask
from tidemill_consumers.core.item_limits import differs_in_numbers, unstorable

CHUNK = 250
"""Calls that are measured together: too few for anything else on the machine to come between often."""


def guards(pairs: int) -> list[Result]:
    """The CPU time of a batch, in what it would be without the guards."""
    forget()
    ours(*PLAIN.next())  # an environment that is warm
    app = application()
    ratios = []
    with one_core():
        for _ in range(pairs):
            batch = median(cpu_seconds(_applied, *PLAIN.next(), app) for _ in range(TURNS))
            guarding = BATCH * _of_a_call(app) + _of_a_delivery(app)
            ratios.append(batch / (batch - guarding))
    return [result("guards", ratios, 1.03, f"x the CPU time without guards, {AT_MOST}")]


def _of_a_call(app: Application) -> float:
    """Seconds that its guards add to the call of a rule."""
    (event,) = PLAIN.next()
    arrivals = intake(event, STREAM).arrivals
    documents: dict[str, State] = {
        key_of(rank): {"title": f"Content {rank}", "owner": f"user-{rank % 97}", "views": rank} for rank in range(KEYS)
    }
    chunks = [arrivals[at : at + CHUNK] for at in range(0, len(arrivals), CHUNK)]
    gc.disable()  # as the handler does
    try:
        return median(_seconds(ask, app, one, documents) - _seconds(_ask, app, one, documents) for one in chunks)
    finally:
        gc.enable()


def _seconds(
    call: Callable[..., RuleOutcome], app: Application, arrivals: Sequence[Arrival], documents: dict[str, State]
) -> float:
    """Of one call."""
    rules, watch = app.rules, Watch()

    def all_of_them() -> None:
        for one in arrivals:
            call(rules[one.request.cmd], documents[one.key], True, one, 0, watch)

    return cpu_seconds(all_of_them) / len(arrivals)


def _of_a_delivery(app: Application) -> float:
    """Seconds for its note, and for a timer that watches one plan."""
    deliveries = app.deliveries
    assert deliveries is not None

    def noted() -> None:
        deliveries.begin("shard", 1, 2)
        with app.limit.watching():
            pass

    return median(cpu_seconds(noted) for _ in range(TURNS))


def _applied(event: KinesisEvent, app: Application) -> None:
    gc.disable()  # as the handler does
    try:
        response = apply(event, app, half_of(Context()))
    finally:
        gc.enable()
    assert (response["batchItemFailures"], response["applied"]["requests"]) == ([], BATCH)


def _ask(rule: Rule, document: State, is_flat: bool, arrival: Arrival, emitted: int, watch: Watch) -> RuleOutcome:
    outcome = rule(document, arrival.request)
    if isinstance(outcome, Accepted):
        assert not outcome.emits
        if outcome.state is not document:
            assert differs_in_numbers(outcome.state, document) or unstorable(outcome.state) is None
        return Taken(outcome.state, is_flat, outcome.answer)
    assert isinstance(outcome, Rejected)
    return outcome
