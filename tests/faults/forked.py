"""A program that makes a producer, uses it, and forks; run by interrupts.py as a process of its own.

    python tests/faults/forked.py NAME WAY COUNT SEED

Its children send by the producer that it made, and end in all the ways of children. On its output: a JSON object with
the numbers of the requests that `send` returned, in children that ended as they should.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tidemill import Producer

EACH = 5
"""Requests of a child."""

AT_ONCE = 4
"""Children at a time."""

LINGER = 0.01


@cache
def producer_of(name: str) -> Producer:
    """The one that this process made, or its parent."""
    return Producer("stream", client=name, linger=LINGER)


def send(name: str, number: int) -> None:
    """Sends a request of that number."""
    producer_of(name).send("c", key=f"{name}/{number % 3}", data={"n": number})


def numbers_of(child: int) -> list[int]:
    """Those that a child sends."""
    return [child * EACH + one for one in range(1, EACH + 1)]


def work(name: str, child: int) -> None:
    """What a child does; it waits for nothing."""
    for number in numbers_of(child):
        send(name, number)


def fork(name: str, forks: int) -> list[int]:
    """By os.fork, while a thread of the parent sends all the time."""
    stop, mine = threading.Event(), []

    def go_on() -> None:
        number = 1_000_000
        while not stop.wait(0.0005):
            send(name, number)
            mine.append(number)
            number += 1

    thread = threading.Thread(target=go_on)
    thread.start()
    sent = []
    for child in range(forks):
        pid = os.fork()
        if not pid:
            end_of(name, child)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0:
            sent += numbers_of(child)
    stop.set()
    thread.join()
    if len(sent) < forks * EACH:
        raise SystemExit("a child failed")
    return sent + mine


def end_of(name: str, child: int) -> None:
    """What a child of os.fork does, to its end: that of the interpreter, which the second raises, or a sudden one."""
    work(name, child)
    if child % 3 == 0:
        producer_of(name).flush()
        os._exit(0)
    if child % 3 == 1:
        producer_of(name).close()
    raise SystemExit(0)


def processes(way: str) -> Callable[[str, int], list[int]]:
    """By multiprocessing, in one of its ways."""

    def run(name: str, forks: int) -> list[int]:
        context: Any = multiprocessing.get_context(way)
        if way == "forkserver":
            context.set_forkserver_preload(["boto3", "botocore.session", "tidemill"])
        for begun in range(0, forks, AT_ONCE):
            children = [
                context.Process(target=work, args=(name, child)) for child in range(begun, min(begun + AT_ONCE, forks))
            ]
            for one in children:
                one.start()
            for one in children:
                one.join()
            if any(one.exitcode for one in children):
                raise SystemExit("a child failed")
        return [number for child in range(forks) for number in numbers_of(child)]

    return run


def gunicorn(name: str, forks: int) -> list[int]:
    """By a gunicorn that loads the application before it forks, whose workers are replaced all the time."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--preload", "--workers", "2", "--max-requests", str(EACH), "--bind", f"127.0.0.1:{port}"]
    options += ["--log-level", "error", "--no-control-socket"]
    here = Path(__file__).resolve().parent
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options, "forked:application"],
        cwd=here,
        env=os.environ | {"FORKED": name},
    )
    sent = []
    try:
        for child in range(forks):
            sent += [number for number in numbers_of(child) if ask(f"http://127.0.0.1:{port}/{number}")]
    finally:
        server.terminate()
        if server.wait(60):
            raise SystemExit("gunicorn did not end well")
    if not sent:
        raise SystemExit("gunicorn answered nothing")
    return sent


def ask(url: str) -> bool:
    """Whether it answers, or has been replaced just now."""
    for _ in range(100):
        try:
            with urlopen(url, timeout=30) as answer:
                return bool(answer.status == 200)
        except (URLError, ConnectionError):
            time.sleep(0.05)
    return False


def application(environ: dict[str, str], start_response: Callable[..., object]) -> list[bytes]:
    """What gunicorn serves: a request for a number sends it."""
    send(os.environ["FORKED"], int(environ["PATH_INFO"][1:]))
    start_response("200 OK", [("Content-Length", "0")])
    return [b""]


WAYS: dict[str, Callable[[str, int], list[int]]] = {
    "fork": fork,
    "multiprocessing-fork": processes("fork"),
    "multiprocessing-spawn": processes("spawn"),
    "multiprocessing-forkserver": processes("forkserver"),
    "gunicorn": gunicorn,
}


def main() -> None:
    """Makes the producer, uses it, forks, and says what was sent."""
    name, way, forks, _ = sys.argv[1:]
    logging.getLogger("tidemill").setLevel(logging.ERROR)
    if way != "gunicorn":
        producer_of(name).send("c", key=name, data={"n": 0}).result(30)
    sent = WAYS[way](name, int(forks))
    print(json.dumps({"sent": sent}), flush=True)


if "FORKED" in os.environ:  # gunicorn loads it before it forks
    producer_of(os.environ["FORKED"]).send("c", key="loaded", data={"n": 0}).result(30)

if __name__ == "__main__":
    main()
