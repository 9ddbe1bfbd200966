"""Has people upload, publish, replace and delete photos under faults, and judges what is left of it.

    python tests/simulation/photos/run.py [--seeds N] [--acts 3] [--every 1] [--seed N] [--json out.json]

Two parts: seeds, each a run of its own, with many people, contents and faults; and a few acts on one content in every
order of delivery, with a crash at every call, or from three acts on at every one of so many calls. Four acts and more
are sampled. `--seed N` replays a seed.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import asdict
from io import StringIO
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.simulation.photos.judging import Verdict
from tests.simulation.photos.orders import ACTS, Case, cases, run_with_crashes
from tests.simulation.photos.scenario import simulate_photos

ACTS_PER_SEED = 150
SEEDS = 50
MOST_ACTS = 4
EVERY = 6
"""A crash follows one call of so many, from three acts on, and others in each order. All take minutes."""

SHARE = 400
"""One order of so many is tried, where there are four acts or more."""

SHOWN = 10
"""Problems that are printed of the orders."""


def simulate(seed: int, acts: int = ACTS_PER_SEED) -> Verdict:
    """Run one seed."""
    _be_quiet()
    with redirect_stdout(StringIO()):  # metrics
        return simulate_photos(seed, acts)


class Trial(NamedTuple):
    """A case, and after which of its calls a crash is tried: the first, and then each of so many."""

    case: Case
    first: int
    step: int


def try_orders(most_acts: int, every: int) -> Iterator[Trial]:
    """The orders of up to so many acts: of up to three each, of more one in `SHARE`."""
    for count in range(1, most_acts + 1):
        orders = (case for acts in product(ACTS, repeat=count) for case in cases(acts))
        step = every if count > 2 else 1
        for number, case in enumerate(islice(orders, 0, None, SHARE if count > 3 else 1)):
            yield Trial(case, number % step, step)


def attempt(trial: Trial) -> tuple[int, list[str]]:
    """Run a case with crashes; how many runs that were, and what went wrong."""
    _be_quiet()
    with redirect_stdout(StringIO()):
        return run_with_crashes(*trial)


def main() -> int:
    """Run both parts and report; 0 when nothing went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--seed", type=int, help="replay this one alone")
    parser.add_argument("--acts", type=int, default=MOST_ACTS, help="most acts of which orders are tried")
    parser.add_argument("--every", type=int, default=EVERY, help="crash at one call of so many, from three acts on")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the result to PATH")
    args = parser.parse_args()
    seeds = range(1, args.seeds + 1) if args.seed is None else [args.seed]
    begun = time.monotonic()
    with ProcessPoolExecutor(2) as workers:
        total = Verdict()
        for verdict in workers.map(simulate, seeds, chunksize=2):
            total.add(verdict)
            for seed in verdict.failed_seeds:
                print(f"seed {seed}: {verdict.summary}; replay it: make simulate-photos ARGS='--seed {seed}'")
        orders = list(try_orders(args.acts, args.every)) if args.seed is None else []
        tried = list(workers.map(attempt, orders, chunksize=4))
    runs, wrong = sum(count for count, _ in tried), [problem for _, problems in tried for problem in problems]
    total.seconds = round(time.monotonic() - begun, 1)
    report(total, len(orders), runs, wrong)
    if args.json:
        figures = asdict(total) | {"orders": len(orders), "runs": runs, "wrong_runs": len(wrong)}
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if total.holds and not wrong else 1


def report(total: Verdict, orders: int, runs: int, wrong: list[str]) -> None:
    """The result, for a reader."""
    print(f"{total.acts:,} acts on photos, {total.seeds:,} seeds, {total.faults.total():,} faults, {total.seconds} s")
    print(
        f"{total.decoded:,} decoded, {total.thumbnails:,} thumbnails and {total.listed:,} entries left; "
        f"{total.given_up:,} events failed three times; {total.invocations:,} batches of changes"
    )
    print(f"{len(total.problems):,} things do not agree")
    print(f"{orders:,} orders of a few acts, with crashes at their calls: {runs:,} runs, {len(wrong):,} of them wrong")
    for problem in wrong[:SHOWN]:
        print(f"  {problem}")


def _be_quiet() -> None:
    logging.disable(logging.CRITICAL)  # the code under test has a lot to complain of


if __name__ == "__main__":
    sys.exit(main())
