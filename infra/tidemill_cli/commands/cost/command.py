"""`tidemill cost`: whether buffering pays at a rate, with which settings, and what each item costs.

Room: command line. Has the cost model (tidemill_load.cost_model.advice) answer, and writes and shows it. Asks nobody.
"""

from __future__ import annotations

import argparse

from tidemill_cli.commands.cost.answer import of_log, of_rate
from tidemill_cli.commands.cost.result import as_json
from tidemill_cli.commands.cost.table import problems, show
from tidemill_cli.errors import FAILED, complain, run_or_tell
from tidemill_cli.result_file import check_writable, json_text, write_result
from tidemill_load.cost_model.advice import BUFFERING, Advice
from tidemill_load.cost_model.assumptions import Impossible
from tidemill_load.cost_model.prices import PriceError, list_prices, read_prices


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when it could answer, 1 with a message on stderr when not or when it cannot be done so."""
    return run_or_tell("cost", lambda: _run(args), PriceError, Impossible)


def _run(args: argparse.Namespace) -> int:
    if args.json:
        check_writable(args.json)
    prices = read_prices(args.prices) if args.prices else list_prices()
    answer = of_log(args, prices) if args.trace else of_rate(args, prices)
    if args.json:
        write_result(args.json, json_text(as_json(args, answer, prices)))
    show(answer, prices)
    return _judge(answer.advice)


def _judge(advice: Advice) -> int:
    if advice.best is not None:
        return 0
    for mode, problem in problems(advice, BUFFERING):
        complain("cost", f"{mode} is not possible: {problem}")
    return FAILED
