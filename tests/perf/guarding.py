"""What the guards against foreign code cost a batch of rules that behave: the same batches with them and without.

They are taken out here alone: the function has no switch for it. Without them a rule is called with the document and
the request as they are, and what it returns is taken as it is, but for the look whether DynamoDB can hold a changed
document, which every application needs; no time is limited, and no delivery is noted.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from perf.consuming import BATCH, PLAIN, Context, forget, ours
from perf.measure import AT_MOST, TURNS, Result, cpu_seconds, one_core, result
from tidemill_consumers.apply import Application, application, apply, half_of
from tidemill_consumers.core import plan
from tidemill_consumers.core.asking import Outcome, Taken, Watch
from tidemill_consumers.core.batch import Accepted, Arrival, Rejected, Rule, State
from tidemill_consumers.core.storable import differs_in_numbers, unstorable
from tidemill_consumers.shell.intake import KinesisEvent
from tidemill_consumers.shell.time_limit import TimeLimit


def guards(pairs: int) -> list[Result]:
    """The CPU time with the guards, in that without."""
    forget()
    ours(*PLAIN.next())  # an environment that is warm
    guarded = application()
    bare = replace(guarded, limit=TimeLimit(), deliveries=None)
    ratios = []
    with one_core():
        for _ in range(pairs):
            with_them = without = 0.0
            for turn in range(TURNS):
                # Each is the first as often as the other: what a batch leaves behind in memory is met by the next.
                for is_bare in (turn % 2 == 0, turn % 2 == 1):
                    if is_bare:
                        with _unguarded():
                            without += cpu_seconds(_applied, *PLAIN.next(), bare)
                    else:
                        with_them += cpu_seconds(_applied, *PLAIN.next(), guarded)
            ratios.append(with_them / without)
    return [result("guards", ratios, 1.03, f"x the CPU time without guards, {AT_MOST}")]


def _applied(event: KinesisEvent, app: Application) -> None:
    gc.disable()  # as the handler does
    try:
        response = apply(event, app, half_of(Context()))
    finally:
        gc.enable()
    assert (response["batchItemFailures"], response["applied"]["requests"]) == ([], BATCH)


@contextmanager
def _unguarded() -> Iterator[None]:
    guarded = plan.ask  # type: ignore[attr-defined] # where the plan has it from
    plan.ask = _ask  # type: ignore[attr-defined]
    try:
        yield
    finally:
        plan.ask = guarded  # type: ignore[attr-defined]


def _ask(rule: Rule, document: State, is_flat: bool, arrival: Arrival, emitted: int, watch: Watch) -> Outcome:
    outcome = rule(document, arrival.request)
    if isinstance(outcome, Accepted):
        assert not outcome.emits
        if outcome.state is not document:
            assert differs_in_numbers(outcome.state, document) or unstorable(outcome.state) is None
        return Taken(outcome.state, is_flat, outcome.answer)
    assert isinstance(outcome, Rejected)
    return outcome
