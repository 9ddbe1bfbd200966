"""Has a stage add up what clients send, under faults, kills and restarts: no total may be off by one.

    python tests/simulation/staging/run.py [--seeds N] [--seed N] [--json out.json]

Each seed is a run of its own; `--seed N` replays one.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import asdict
from io import StringIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.simulation.judging import Result
from tests.simulation.staging.scenario import simulate_stage

REQUESTS_PER_SEED = 400
SEEDS = 200


def simulate(seed: int, requests: int = REQUESTS_PER_SEED) -> Result:
    """Run one seed."""
    logging.disable(logging.CRITICAL)  # the code under test has a lot to complain of
    with redirect_stdout(StringIO()):  # and metrics
        return simulate_stage(seed, requests)


def main() -> int:
    """Run the seeds and report; 0 when nothing went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--seed", type=int, help="replay this one alone")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the result to PATH")
    args = parser.parse_args()
    seeds = range(1, args.seeds + 1) if args.seed is None else [args.seed]
    total, begun = Result(), time.monotonic()
    with ProcessPoolExecutor(2) as workers:
        for result in workers.map(simulate, seeds, chunksize=2):
            total.add(result)
            for seed in result.failed_seeds:
                print(f"seed {seed}: {result.summary}; replay it: make simulate-stage ARGS='--seed {seed}'", flush=True)
    total.seconds = round(time.monotonic() - begun, 1)
    print(f"{total.requests:,} requests beside a stage, {total.seeds:,} seeds, {total.faults.total():,} faults")
    for name, count in total.faults.most_common():
        if "stage" in name:
            print(f"  {count:>9,}  {name}")
    print(f"{total.summary}; {total.untold:,} re-sends cannot be told; {total.seconds} s")
    if args.json:
        args.json.write_text(json.dumps(asdict(total) | {"faults": dict(total.faults)}, indent=2) + "\n")
    return 0 if total.holds else 1


if __name__ == "__main__":
    sys.exit(main())
