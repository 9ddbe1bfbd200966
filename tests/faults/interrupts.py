"""Producers interrupted ten thousand times, and forked five hundred: what `send` returned is applied, once, in order.

    python tests/faults/interrupts.py [--interrupts 10000] [--forks 500] [--seed 1] [--json out.json]

Real processes send to a stream on this machine that fails now and then. Those of interrupted.py have a signal handler
that raises, sends or flushes at random moments. Those of forked.py make a producer, use it, and fork: by os.fork, by
multiprocessing in its three ways, and as the workers of a gunicorn with `--preload`. A process that does not end in
time is hung.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.faults.stream import Stream, served

HERE = Path(__file__).resolve().parent
WAYS = ("plain", "full", "signed", "spooled")
FORKS = ("fork", "multiprocessing-fork", "multiprocessing-spawn", "multiprocessing-forkserver", "gunicorn")
MOST_INTERRUPTS, MOST_FORKS = 250, 50
"""Of one process."""

SECONDS = 600.0
"""Seconds after which a process is hung; the slowest takes a third of that, on a machine that others use."""


def run(stream: Stream, script: str, *words: object) -> dict[str, Any] | None:
    """What a process says of itself; None if it hangs or fails."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / script), *map(str, words)],
        env=os.environ | stream.environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)  # its children too
        process.communicate()
        return None
    lines = output.splitlines()
    return dict(json.loads(lines[-1])) if process.returncode == 0 and lines else None


def shares(total: int, among: tuple[str, ...], most: int) -> list[tuple[str, int]]:
    """So many, in parts of `most`, for each in turn."""
    parts = [min(most, total - begun) for begun in range(0, total, most)]
    if len(parts) < len(among):
        parts = [total // len(among) + (turn < total % len(among)) for turn in range(len(among))]
    return [(among[turn % len(among)], part) for turn, part in enumerate(parts) if part]


def interrupt(stream: Stream, interrupts: int, seed: int) -> dict[str, int]:
    """Interrupts so often, and judges."""
    with ThreadPoolExecutor(2) as pool:
        runs = [
            (f"i{turn}", pool.submit(run, stream, "interrupted.py", f"i{turn}", way, part, seed + turn))
            for turn, (way, part) in enumerate(shares(interrupts, WAYS, MOST_INTERRUPTS))
        ]
        told = {name: found.result() for name, found in runs}
    sent = {(name, number) for name, one in told.items() if one for number in one["sent"] + one["amid"]}
    in_order = {name: one["sent"] for name, one in told.items() if one}
    return {"interrupts": interrupts} | judge(stream, sent, in_order, sum(one is None for one in told.values()))


def fork(stream: Stream, forks: int, seed: int) -> dict[str, int]:
    """Forks so often, and judges."""
    told = {
        f"f{turn}": run(stream, "forked.py", f"f{turn}", way, part, seed + turn)
        for turn, (way, part) in enumerate(shares(forks, FORKS, MOST_FORKS))
    }
    sent = {(name, number) for name, one in told.items() if one for number in one["sent"]}
    return {"forks": forks} | judge(stream, sent, {}, sum(one is None for one in told.values()))


def judge(stream: Stream, sent: Iterable[tuple[str, int]], in_order: dict[str, list[int]], hung: int) -> dict[str, int]:
    """How the stream differs from what was sent."""
    applied, mistaken = stream.applied()
    found = [(str(one.client), int(one.data["n"])) for requests in applied.values() for one in requests]
    reordered = 0
    for name, numbers in in_order.items():
        place = {number: at for at, number in enumerate(numbers)}
        for key, requests in applied.items():
            if key.startswith(f"{name}/"):
                places = [place[one.data["n"]] for one in requests if one.data["n"] in place]
                reordered += places != sorted(places)
    wanted = set(sent)
    return {
        "returned": len(wanted),
        "applied": len(found),
        "lost": len(wanted - set(found)) + mistaken,
        "double": len(found) - len(set(found)),
        "reordered": reordered,
        "hung": hung,
    }


def main() -> int:
    """Interrupts and forks; 0 when nothing is lost, doubled, reordered or hung."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interrupts", type=int, default=10_000)
    parser.add_argument("--forks", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="PATH")
    args = parser.parse_args()
    results = []
    for what, times in ((interrupt, args.interrupts), (fork, args.forks)):
        begun = time.monotonic()
        with served(args.seed) as stream:
            result: dict[str, Any] = what(stream, times, args.seed)
        result["seconds"] = round(time.monotonic() - begun, 1)
        print(json.dumps(result), flush=True)
        results.append(result)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")
    return 1 if any(one[name] for one in results for name in ("lost", "double", "reordered", "hung")) else 0


if __name__ == "__main__":
    sys.exit(main())
