"""Bugs of what the functions leave to the analytics stage and take from it; `make mutants` puts them in one by one."""

from __future__ import annotations

from functools import partial

from tests.simulation.mutants import Mutant

TOTALS = "tidemill_consumers.core.stage.totals"
LEAVING = "tidemill_consumers.core.stage.leaving"
TRUST = "tidemill_consumers.core.trust"
CLASSIFY = "tidemill_consumers.core.folding.classify"
APPLY = "tidemill_consumers.apply"

Of = partial(Mutant, seeds=range(1, 101), simulation="tests.simulation.staging.run")

MUTANTS = [
    Of(
        "totals are applied as if they were deltas",
        TOTALS,
        "step",
        "return Step(window.total - counted,",
        "return Step(window.total,",
    ),
    Of(
        "the generation of a total is ignored",
        TOTALS,
        "step",
        "last = next((one for one in seen if one.generation == window.generation), None)",
        "last = seen[-1] if seen else None",
    ),
    Of(
        "a window is applied that another generation applied before",
        TOTALS,
        "step",
        "    if window.number <= applied:\n",
        "    if window.number < applied:\n",
    ),
    Of(
        "where a generation's next amount begins is not noted",
        TOTALS,
        "step",
        "return Step(None, Totals(applied, latest))",
        "return Step(None, before)",
    ),
    Of(
        "the last window applied is each generation's own",
        TOTALS,
        "step",
        "    if window.number <= applied:\n",
        "    if last is not None and window.number <= last.number:\n",
    ),
    Of(
        "a window that was overtaken is taken for a total that falls",
        TOTALS,
        "step",
        "(last is not None and window.number <= last.number)",
        "False",
    ),
    Of(
        "both sides take what arrives as a period begins",
        LEAVING,
        "Leaving._may_take",
        "any(begin <= arrival.arrived and",
        "any(begin + 1.0 <= arrival.arrived and",
    ),
    Of(
        "neither side takes what arrives as a period ends",
        LEAVING,
        "Leaving._may_take",
        "first < end for",
        "first < end + 1.0 for",
    ),
    Of(
        "a re-send is told by its own arrival alone",
        LEAVING,
        "Leaving._may_take",
        "first = arrival.arrived if arrival.tried is None else min(arrival.tried, arrival.arrived)",
        "first = arrival.arrived",
    ),
    Of(
        "a re-send is left that the stage does not remember",
        LEAVING,
        "Leaving._remembers",
        "return arrival.tried is None or arrival.arrived - arrival.tried <= self.horizon",
        "return True",
    ),
    Of(
        "a re-send that the stage may have counted too long ago is applied",
        CLASSIFY,
        "_of_resent",
        '(arrival.found != "beyond" and not is_doubtful(arrival, writer, writers))',
        "not is_doubtful(arrival, writer, writers)",
    ),
    Of(
        "whoever says so is the stage",
        TRUST,
        "of_stage",
        "    if not is_its_stream:\n",
        "    if False:\n",
    ),
    Of(
        "what is left to the stage is applied as well",
        LEAVING,
        "Leaving.divided",
        "return left, others",
        "return left, arrivals",
    ),
    Of(
        "what is left to the stage is not answered",
        APPLY,
        "_in_pieces",
        "*app.replies.send(accepted(left))",
        "*app.replies.send(())",
    ),
    Of(
        "answers to what is left that could not be sent are not reported",
        APPLY,
        "_in_pieces",
        "failed = [*_refuse(piece, app), *app.replies.send(accepted(left))]",
        "failed = [*_refuse(piece, app)]\n        app.replies.send(accepted(left))",
    ),
]
