"""The benchmarks: ratios of CPU time in one process and one run. A table, and build/perf.json.

    python tests/perf/run.py [--only pack unpack] [--pairs 5] [--json build/perf.json]

Ends with 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from functools import partial
from io import StringIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.perf.codec import pack, unpack
from tests.perf.consuming import consumer, consumer_aggregated, consumer_write_calls
from tests.perf.decoding import decode_aggregated, decode_plain
from tests.perf.event_source import event_source
from tests.perf.filling import fill
from tests.perf.guarding import guards
from tests.perf.measure import Result
from tests.perf.orders.measuring import CASES, measured
from tests.perf.photos import photos
from tests.perf.producing import producer_orders, producer_vs_put_record, producer_vs_put_records
from tests.perf.watching import metrics


@dataclass(frozen=True)
class Benchmark:
    """What is run together: the names of its results, and from a number of pairs to them."""

    names: tuple[str, ...]
    run: Callable[[int], list[Result]]


BENCHMARKS = (
    Benchmark(("pack",), pack),
    Benchmark(("fill", "misplaced"), fill),
    Benchmark(("unpack",), unpack),
    Benchmark(("decode_plain",), decode_plain),
    Benchmark(("decode_aggregated",), decode_aggregated),
    Benchmark(("producer_vs_put_record",), producer_vs_put_record),
    Benchmark(("producer_vs_put_records",), producer_vs_put_records),
    Benchmark(("producer_orders_vs_put_record", "producer_orders_vs_put_records"), producer_orders),
    Benchmark(("consumer_vs_powertools", "consumer_vs_powertools_idempotent"), consumer),
    Benchmark(("guards",), guards),
    Benchmark(("metrics",), metrics),
    Benchmark(
        ("consumer_aggregated_vs_powertools", "consumer_aggregated_vs_powertools_idempotent"), consumer_aggregated
    ),
    Benchmark(("consumer_write_calls",), consumer_write_calls),
    *[Benchmark(case.names, partial(measured, case)) for case in CASES],
    Benchmark(("thumbnails", "thumbnails_small", "thumbnails_ssim"), photos),
    Benchmark(("event_source_cpu", "event_source_rate"), event_source),
)
NAMES = [name for benchmark in BENCHMARKS for name in benchmark.names]


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help=f"some of: {', '.join(NAMES)}")
    parser.add_argument("--pairs", type=int, default=5, help="ratios measured of each, 5 by default")
    parser.add_argument("--json", type=Path, default=Path("build/perf.json"), help="where the results go")
    args = parser.parse_args()
    wanted = set(args.only or NAMES)
    results = list(run(wanted, args.pairs))
    write(args.json, results)
    if args.only:
        print(f"{args.json} has these alone: ratios of several runs do not stand together.")
    missed = [one.name for one in results if not one.met]
    if missed:
        print(f"missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


def run(wanted: set[str], pairs: int) -> Iterable[Result]:
    """The results, each printed as it comes."""
    print(f"{'':<45} {'median':>9} {'goal':>9} {'lowest':>9} {'highest':>9}")
    for benchmark in BENCHMARKS:
        if not wanted.isdisjoint(benchmark.names):
            with redirect_stdout(StringIO()):  # the functions' metrics are written there
                results = benchmark.run(pairs)
            for one in results:
                print(line(one), flush=True)
                yield one


def line(one: Result) -> str:
    """The result, for reading."""
    numbers = " ".join(f"{number:>9,.4g}" for number in (one.ratio, one.goal, one.low, one.high))
    return f"{one.name:<45} {numbers}  {one.unit}{'' if one.met else ': MISSED'}"


def write(path: Path, results: list[Result]) -> None:
    """All of them, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"results": [asdict(one) for one in results]}, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
