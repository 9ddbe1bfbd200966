"""A program that sends, and is interrupted at random moments; run by interrupts.py as a process of its own.

    python tests/faults/interrupted.py NAME WAY COUNT SEED

Its main thread sends, waits, flushes and looks, while a timer raises an exception in it, or sends, flushes or closes
amid what it does. On its output: a JSON object with the numbers of the requests that `send` returned.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from itertools import count
from math import inf
from typing import Any

from tidemill import Producer, ProducerClosed, Spool, StillPending
from tidemill.contract.request import Request

KEYS = 8
LONGEST = 0.004
"""Seconds until an interrupt, at most."""

WORK = 200
"""Things it does between two interrupts, at most: more than it comes to."""


class Interrupted(Exception):
    """What the signal handler raises."""


class Signer:
    """Signs nothing, but is foreign code, and runs where a signer runs."""

    def sign(self, request: Request) -> Request:
        """The request."""
        return request


class Program:
    """Sends, and notes what was sent."""

    def __init__(self, name: str, way: str, seed: int) -> None:
        options: dict[str, Any] = {}
        if way == "full":
            options["max_pending_bytes"] = 20_000
        elif way == "signed":
            options["signer"] = Signer()
        elif way == "spooled":
            options["spool"] = Spool(tempfile.mkdtemp(prefix="tidemill-interrupted-"))
        self.name = name
        self.dice = random.Random(seed)
        self.producer = Producer("stream", client=name, linger=0.005, close_timeout=inf, **options)
        self.numbers = count(1)
        self.sent: list[int] = []
        self.amid: list[int] = []
        self.is_armed = False

    def send(self, into: list[int]) -> Any:
        """Sends one request more."""
        number = next(self.numbers)
        handle = self.producer.send("c", key=f"{self.name}/{number % KEYS}", data={"n": number})
        into.append(number)
        return handle

    def interrupt(self, *_: object) -> None:
        """The signal handler."""
        what = self.dice.random()
        if what < 0.2:
            with suppress(ProducerClosed):  # amid its end
                self.send(self.amid)
        elif what < 0.3:
            with suppress(StillPending):
                self.producer.flush(0.001)
        if self.is_armed and what > 0.1:
            self.is_armed = False
            raise Interrupted

    def work(self) -> None:
        """What the timer strikes."""
        for _ in range(WORK):
            handle = self.send(self.sent)
            what = self.dice.random()
            with suppress(StillPending):
                if what < 0.05:
                    handle.result(0.002)
                elif what < 0.1:
                    self.producer.flush(0.002)
                elif what < 0.12:
                    self.producer.stats()
            if what > 0.5:
                time.sleep(0.0002)

    def run(self, interrupts: int) -> dict[str, Any]:
        """So many interrupts, then what was sent."""
        signal.signal(signal.SIGALRM, self.interrupt)
        struck = 0
        while struck < interrupts:
            try:
                self.is_armed = True
                signal.setitimer(signal.ITIMER_REAL, self.dice.uniform(1e-5, LONGEST))
                self.work()
                self.is_armed = False
            except Interrupted:
                struck += 1
        self.is_armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        last = self.interrupt_closing()
        return {"sent": self.sent, "amid": self.amid, "last": last, "numbers": next(self.numbers) - 1}

    def interrupt_closing(self) -> int:
        """Closes, and is interrupted in that too: how often."""
        for struck in count():
            try:
                self.is_armed = True
                signal.setitimer(signal.ITIMER_REAL, self.dice.uniform(1e-5, LONGEST))
                self.producer.close()
                self.is_armed = False
                signal.setitimer(signal.ITIMER_REAL, 0)
                return struck
            except Interrupted:
                pass
        raise AssertionError


def main() -> None:
    """Runs it, and says what was sent."""
    name, way, interrupts, seed = sys.argv[1:]
    faulthandler.dump_traceback_later(580, exit=True)
    logging.getLogger("tidemill").setLevel(logging.ERROR)
    print(json.dumps(Program(name, way, int(seed)).run(int(interrupts))))


if __name__ == "__main__":
    main()
