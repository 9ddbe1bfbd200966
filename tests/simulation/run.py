"""Applies requests under faults and holds the outcome against what the stream's log says it must be.

    python tests/simulation/run.py --requests 1000000 [--seed N] [--json out.json]

Each seed is a run of its own; `--seed N` replays one.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import asdict
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.simulation.fleets import simulate_fleet
from tests.simulation.judging import Result
from tests.simulation.scenario import simulate_producers

REQUESTS_PER_SEED = 2_000
FLEETS = 10
"""One seed of so many has a fleet."""

GREAT = 250
"""One seed of so many has a great fleet, which sends so many times as much."""

TIMES = 10
PROGRESS_SECONDS = 10.0


def simulate(seed: int, requests: int = REQUESTS_PER_SEED) -> Result:
    """Run one seed."""
    logging.disable(logging.CRITICAL)  # the code under test has a lot to complain of
    with redirect_stdout(StringIO()):  # and metrics
        if seed % GREAT == 0:
            return simulate_fleet(seed, TIMES * requests)
        return simulate_fleet(seed, requests) if seed % FLEETS == 0 else simulate_producers(seed, requests)


def seeds_for(requests: int, first: int, size: int) -> list[int]:
    """Seeds from the first that send so many requests together."""
    seeds: list[int] = []
    while requests > 0:
        seeds.append(first + len(seeds))
        requests -= size * (TIMES if seeds[-1] % GREAT == 0 else 1)
    return seeds


def main() -> int:
    """Run the seeds and report; 0 when nothing went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000, help="in all")
    parser.add_argument("--seed", type=int, help="replay this one")
    parser.add_argument("--size", type=int, default=REQUESTS_PER_SEED, help="requests of a seed")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the result to PATH")
    args = parser.parse_args()
    first = args.seed if args.seed is not None else args.first_seed
    seeds = [first] if args.seed is not None else seeds_for(args.requests, first, args.size)
    total, begun = Result(), time.monotonic()
    workers = ProcessPoolExecutor(2, initializer=_spare_collections)
    shown = begun
    try:
        for result in workers.map(partial(_simulate, args.size), seeds, chunksize=2):
            total.add(result)
            for seed in result.failed_seeds:
                size = shrink(seed)
                print(f"seed {seed} fails; replay it: make simulate ARGS='--seed {seed} --size {size}'", flush=True)
            if time.monotonic() - shown >= PROGRESS_SECONDS:
                shown = time.monotonic()
                print(f"  {total.requests:,} requests, {total.seeds:,} of {len(seeds):,} seeds", flush=True)
    except KeyboardInterrupt:
        print("stopped; what ran so far:")
    finally:
        workers.shutdown(cancel_futures=True)
    total.seconds = round(time.monotonic() - begun, 1)
    report(total)
    if args.json:
        args.json.write_text(json.dumps(as_json(total), indent=2) + "\n")
    return 0 if total.holds else 1


def _spare_collections() -> None:
    """Have a worker's garbage collector look at what seeds leave behind, and only between them."""
    gc.freeze()
    gc.disable()


def _simulate(requests: int, seed: int) -> Result:
    """Run one seed in a worker."""
    result = simulate(seed, requests)
    gc.collect()
    return result


def shrink(seed: int) -> int:
    """The fewest requests, by halves, with which the seed still fails."""
    size = REQUESTS_PER_SEED
    while size > 1 and not simulate(seed, size // 2).holds:
        size //= 2
    return size


def as_json(total: Result) -> dict[str, Any]:
    """The result, machine-readable."""
    figures = asdict(total)
    units, saved = figures.pop("write_units"), figures.pop("saved_units")
    return figures | {
        "faults": dict(total.faults),
        "wcu_per_request": round(units / max(1, total.requests), 4),
        "wcu_per_saved_wcu": round(units / max(1, saved), 4),
    }


def report(total: Result) -> None:
    """The result, for a reader."""
    print(f"{total.requests:,} requests, {total.seeds:,} seeds, {total.faults.total():,} faults, {total.seconds} s")
    print(f"{total.emitted:,} follow-up requests besides, {total.looped:,} too deep; {total.redriven:,} redriven")
    for name, count in total.faults.most_common():
        print(f"  {count:>9,}  {name}")
    print(
        f"lost {total.lost}, double {total.double}, reordered {total.reordered}, unanswered {total.unanswered}, "
        f"answered wrongly {total.wrong}"
    )
    print(
        f"fleets: {total.writers:,} writers; {total.resent:,} re-sends marked, {total.asked:,} looked up, "
        f"{total.untold:,} cannot be told (by the rule: {total.untold_by_rule:,})"
    )
    print(f"{total.needless} writes by which an entity forgot writers that it had room for")
    print(f"{total.uploaded:,} requests' data was uploaded")
    print(
        f"objects: {total.drawn:,} put, {total.drawn_again:,} of them again; {total.swept:,} versions swept; "
        f"dangling {total.dangling}, put in vain {total.wasted}"
    )
    units = total.write_units / max(1, total.requests)
    print(f"{total.invocations:,} invocations, {total.dynamodb_write_calls:,} write calls, {units:.3f} WCU per request")
    wasted = total.write_units / max(1, total.saved_units) - 1
    print(f"{total.distinct_keys_written:,} keys saved; {wasted:.1%} more WCU for writes that were refused")


if __name__ == "__main__":
    sys.exit(main())
