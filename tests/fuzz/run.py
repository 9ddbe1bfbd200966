"""Fuzzes for some minutes: damaged aggregates against protobuf's reader, hostile records in batches, damaged photos.

make fuzz ARGS="--mutants 50000"             # aggregates alone
make fuzz ARGS="--records 5000 --seed 7"     # batches alone
make fuzz ARGS="--photos 2000"               # photos alone
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fuzz import batches, images, kpl

MUTANTS = 1_000_000
RECORDS = 100_000
PHOTOS = 10_000


def aggregates(mutants: int, seed: int) -> bool:
    """Damage aggregates, and say what was found; whether all held."""
    start = time.monotonic()

    def say(count: kpl.Count) -> None:
        print(f"  {count.mutants:>9,} mutants, {count.read:,} read, {time.monotonic() - start:.0f} s", flush=True)

    try:
        count = kpl.check(mutants, seed, say)
    except kpl.Wrong as wrong:
        print(f'read as it must not be (ARGS="--mutants {mutants} --seed {seed}"): {wrong}', file=sys.stderr)
        return False
    print(f"{count.mutants:,} mutants: {count.read:,} read as protobuf reads them, the others refused whole")
    return True


def photos(count: int, seed: int) -> bool:
    """Damage photos, and say what became of them; whether all held."""
    try:
        fates = images.check(count, seed, lambda text: print(text, flush=True))
    except images.Wrong as wrong:
        print(f'not contained (ARGS="--photos {count} --seed {seed}"): {wrong}', file=sys.stderr)
        return False
    told = ", ".join(f"{number:,} {fate}" for fate, number in fates.most_common())
    print(f"{count:,} damaged photos: {told}; nothing else ended")
    return True


def main() -> int:
    """Fuzz, and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, help="of aggregates, 1,000,000 by default")
    parser.add_argument("--records", type=int, help="of whole batches, 100,000 by default")
    parser.add_argument("--photos", type=int, help="damaged, 10,000 by default")
    parser.add_argument("--seed", type=int, help="repeats a run")
    parser.add_argument("--go-on", action="store_true", help="do not end with the first batch that is wrong")
    args = parser.parse_args()
    if args.mutants is None and args.records is None and args.photos is None:
        args.mutants, args.records, args.photos = MUTANTS, RECORDS, PHOTOS
    seed = random.SystemRandom().getrandbits(32) if args.seed is None else args.seed
    print(f"seed {seed}", flush=True)
    held = not args.mutants or aggregates(args.mutants, seed)
    if held and args.records:
        held = batches.fuzz(args.records, seed, lambda text: print(text, flush=True), args.go_on)
    if held and args.photos:
        held = photos(args.photos, seed)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
