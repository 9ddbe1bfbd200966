"""The cost model's answer to the arguments of `tidemill cost`, for a steady rate or for the traffic of a log.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/cost/test_command.py.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill_cli.arguments.trace import Misused, fields_of
from tidemill_cli.commands.cost.arguments import assumptions, wanted
from tidemill_cli.terminal_text import printable
from tidemill_load.cost_model.advice import Advice, advise

if TYPE_CHECKING:
    from tidemill_cli.commands.cost.trace import Details, Logged
    from tidemill_load.cost_model.assumptions import Assumptions
    from tidemill_load.cost_model.flows import Load
    from tidemill_load.cost_model.prices import Prices


@dataclass(frozen=True, slots=True)
class Answer:
    """The advice, with the traffic and the assumptions that it is for.

    Attributes:
        load: the rate, or the traffic of a log.
        given: the model's assumptions.
        advice: the model's.
        logged: the log, if there was one.
        details: the log hour by hour and by window.
    """

    load: Load
    given: Assumptions
    advice: Advice
    logged: Logged | None = None
    details: Details | None = None


def of_rate(args: argparse.Namespace, prices: Prices) -> Answer:
    """For a steady rate.

    Raises:
        Misused: arguments do not go together.
        Impossible: the model does not take such values.
    """
    fields_of(args)
    if args.seconds is not None or args.speed != 1:
        raise Misused("--seconds and --speed are for --trace")
    given = assumptions(args)
    return Answer(args.rate, given, advise(args.rate, given, wanted(args), prices))


def of_log(args: argparse.Namespace, prices: Prices) -> Answer:
    """For the traffic of a log, which is told on the terminal first.

    Raises:
        Misused: arguments do not go together, or the log cannot be read.
        Impossible: the model does not take such values.
    """
    # Imported here: a steady rate needs no numpy.
    from tidemill_cli.commands.cost.trace import assumed, details, read
    from tidemill_cli.trace_summary import told
    from tidemill_load.assessment.survey import TooLong
    from tidemill_load.logs import TraceError

    bound, usual = wanted(args), assumptions(args)
    try:
        logged = read(args)
    except (TraceError, TooLong) as error:
        raise Misused(str(error)) from None
    for line in told(logged.log, logged.found, args.seconds):
        print(printable(line), flush=True)
    print()
    given, load = assumed(usual, logged.found), logged.found.traffic
    advice = advise(load, given, bound, prices)
    return Answer(load, given, advice, logged, details(advice, logged, prices))
