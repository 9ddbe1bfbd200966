"""`tidemill cost`: whether buffering pays at a rate, with which settings, and what each item costs.

Room: command line. Has the cost model (tidemill_load.cost_model.advice) answer, and writes and shows it. Asks nobody.
"""

from __future__ import annotations

import argparse
import json
import sys

from tidemill_cli.commands.cost.answer import of_log, of_rate
from tidemill_cli.commands.cost.result import as_json
from tidemill_cli.commands.cost.table import problems, show
from tidemill_cli.result_file import check_writable, write_result
from tidemill_cli.terminal_text import printable
from tidemill_cli.trace_arguments import Misused
from tidemill_load.cost_model.advice import BUFFERING, Advice
from tidemill_load.cost_model.assumptions import Impossible
from tidemill_load.cost_model.prices import PriceError, list_prices, read_prices


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when it could answer, 1 with a message on stderr when not or when it cannot be done so."""
    try:
        if args.json:
            check_writable(args.json)
        prices = read_prices(args.prices) if args.prices else list_prices()
        answer = of_log(args, prices) if args.trace else of_rate(args, prices)
        if args.json:
            write_result(args.json, json.dumps(as_json(args, answer, prices), indent=2) + "\n")
    except (Misused, PriceError, Impossible, OSError) as error:
        print(f"tidemill cost: {printable(str(error))}", file=sys.stderr)
        return 1
    show(answer, prices)
    return _complain(answer.advice)


def _complain(advice: Advice) -> int:
    if advice.best is not None:
        return 0
    for mode, problem in problems(advice, BUFFERING):
        print(f"tidemill cost: {mode} is not possible: {problem}", file=sys.stderr)
    return 1
