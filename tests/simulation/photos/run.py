"""Has people upload, publish, replace and delete photos under faults, and judges what is left of it.

    python tests/simulation/photos/run.py [--seeds N] [--acts 3] [--share 1] [--seed N] [--json out.json]

Two parts: seeds, each a run of its own, with many people, contents and faults; and a few acts on one content in every
order of delivery, with a crash at every call. `--seed N` replays a seed.
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

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.simulation.photos.judging import Verdict
from tests.simulation.photos.orders import ACTS, Case, cases, run_with_crashes
from tests.simulation.photos.scenario import simulate_photos

ACTS_PER_SEED = 150
SEEDS = 60
SHARE = 60
"""One order of so many is tried, where there are three acts or more: all take minutes."""

SHOWN = 10
"""Problems that are printed of the orders."""


def simulate(seed: int, acts: int = ACTS_PER_SEED) -> Verdict:
    """Run one seed."""
    _be_quiet()
    with redirect_stdout(StringIO()):  # metrics
        return simulate_photos(seed, acts)


def try_orders(most_acts: int, share: int) -> Iterator[Case]:
    """The orders of up to so many acts: of up to two each, of more one in `share`."""
    for count in range(1, most_acts + 1):
        every = (case for acts in product(ACTS, repeat=count) for case in cases(acts))
        yield from every if count < 3 else islice(every, 0, None, share)


def attempt(case: Case) -> tuple[int, list[str]]:
    """Run a case with a crash at every call; how many runs that were, and what went wrong."""
    _be_quiet()
    with redirect_stdout(StringIO()):
        return run_with_crashes(case)


def main() -> int:
    """Run both parts and report; 0 when nothing went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--seed", type=int, help="replay this one alone")
    parser.add_argument("--acts", type=int, default=3, help="acts of which every order is tried")
    parser.add_argument("--share", type=int, default=SHARE, help="try one order of so many, from three acts on")
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
        orders = list(try_orders(args.acts, args.share)) if args.seed is None else []
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
    print(f"{orders:,} orders of a few acts, with a crash at each call: {runs:,} runs, {len(wrong):,} of them wrong")
    for problem in wrong[:SHOWN]:
        print(f"  {problem}")


def _be_quiet() -> None:
    logging.disable(logging.CRITICAL)  # the code under test has a lot to complain of


if __name__ == "__main__":
    sys.exit(main())
