"""Rules for the function's own process in tests: one counts, the others end the process, or do not come back."""

import os
import signal
import time

from tidemill.contract.request import Request
from tidemill_consumers.core.batch import Accepted, Rules, State


def count(state: State, request: Request) -> Accepted:
    return Accepted({"n": (state or {"n": 0})["n"] + 1})


def leave(state: State, request: Request) -> Accepted:
    os._exit(0)


def block(state: State, request: Request) -> Accepted:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    time.sleep(600)
    return Accepted(None)


def sleep(state: State, request: Request) -> Accepted:
    time.sleep(600)
    return Accepted(None)


RULES: Rules = {"count": count, "leave": leave, "block": block, "sleep": sleep}
