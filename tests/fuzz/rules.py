"""Rules of an application that is hostile to its own runtime, beside those that count what was applied.

What is accepted is counted in its entity's document, and chained per source in the order in which it was applied.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from zlib import crc32

from tidemill.contract.request import Document, Json, Request
from tidemill_consumers.core.batch import Accepted, Emit, Rejected, Rule, State, Verified

LONG = "\N{WATER WAVE}" * 300_000


def counted(state: State, request_id: str, source: str) -> Document:
    """The document after one more request of a source."""
    document = state or {}
    chain = f"h{source}"
    return {**document, "n": document.get("n", 0) + 1, chain: crc32(request_id.encode(), document.get(chain, 0))}


def add(state: State, request: Request) -> Accepted:
    return Accepted(counted(state, request.id, request.data.get("s", "")))


def fill(state: State, request: Request) -> Accepted:
    """A document of about so many bytes."""
    return Accepted(
        {**counted(state, request.id, request.data["s"]), "pad": "\N{WATER WAVE}" * (request.data["size"] // 4)}
    )


def answer(state: State, request: Request) -> Accepted:
    return Accepted(counted(state, request.id, request.data["s"]), "x" * request.data["size"])


def emit(state: State, request: Request) -> Accepted:
    data = request.data
    one = Emit("emitted", data["to"], {"pad": "x" * data["size"]}, data.get("client"))
    return Accepted(counted(state, request.id, data["s"]), emits=(one,) * data["times"])


def emitted(state: State, request: Request) -> Accepted:
    document = state or {}
    return Accepted({**document, "e": document.get("e", 0) + 1})


def track(state: State, request: Request) -> Accepted:
    document = state or {}
    return Accepted({**document, "events": document.get("events", 0) + 1})


def delete(state: State, request: Request) -> Accepted:
    return Accepted(None)


def reject(state: State, request: Request) -> Rejected:
    return Rejected(str(request.data["why"]) * request.data.get("times", 1))


def reject_with_a_surrogate(state: State, request: Request) -> Rejected:
    return Rejected("\ud800 \x00" * 5_000)


# ── Rules that raise ─────────────────────────────────────────────────────────────────────────────────────────


class Untellable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Wordless(Exception):
    def __str__(self) -> str:
        return None  # type: ignore[return-value] # that is what is wrong with it


class Ending(BaseException):
    def __str__(self) -> str:
        raise SystemExit


def raising(error: Callable[[], BaseException]) -> Rule:
    def rule(state: State, request: Request) -> Accepted:
        if state:
            state["n"] = -1
        raise error()

    return rule


def recursing(state: State, request: Request) -> Accepted:
    return recursing(state, request)


# ── Rules that change what they were given ───────────────────────────────────────────────────────────────────


def spoil(state: State, request: Request) -> None:
    if state is not None:
        state["n"] = 10**9
        state["junk"] = float("nan")
        state.pop("pad", None)
    request.data.clear()
    request.data["s"] = "\ud800"


def spoil_and_reject(state: State, request: Request) -> Rejected:
    spoil(state, request)
    return Rejected("spoiled")


def spoil_data(state: State, request: Request) -> Accepted:
    accepted = add(state, request)
    request.data.clear()
    return accepted


def spoil_and_keep(junk: Json) -> Rule:
    """Gives the very state back that it was given, with what no document may have."""

    def rule(state: State, request: Request) -> Accepted:
        state = {} if state is None else state
        state["n"] = 10**9
        state["junk"] = junk
        return Accepted(state)

    return rule


# ── Rules whose outcome is none ──────────────────────────────────────────────────────────────────────────────


def saying(outcome: Any) -> Rule:
    def rule(state: State, request: Request) -> Accepted:
        return outcome  # type: ignore[no-any-return] # whatever it is

    return rule


def deep(levels: int) -> Json:
    value: Json = 1
    for _ in range(levels):
        value = [value]
    return value


def cyclic() -> Document:
    document: Document = {}
    document["self"] = document
    return document


ERRORS: dict[str, Callable[[], BaseException]] = {
    "plain": lambda: ValueError("no"),
    "long": lambda: ValueError(LONG),
    "surrogate": lambda: ValueError("\ud800\x00"),
    "untellable": Untellable,
    "wordless": Wordless,
    "odd name": type("\N{WATER WAVE}" * 100_000, (Exception,), {}),
    "group": lambda: ExceptionGroup("g", [ValueError("a")]),
    "exit": lambda: SystemExit(3),
    "interrupt": KeyboardInterrupt,
    "cancelled": asyncio.CancelledError,
    "generator": GeneratorExit,
    "base": Ending,
    "memory": MemoryError,
    "stop": StopIteration,
    "recursion": RecursionError,
}
RAISING: dict[str, Rule] = {f"raise.{name}": raising(error) for name, error in ERRORS.items()}
RAISING["raise.recursing"] = recursing

NO_OUTCOMES: dict[str, Rule] = {
    f"no.{place}": saying(outcome)
    for place, outcome in enumerate(
        [
            None,
            "accepted",
            ("accepted",),
            Rejected(None),  # type: ignore[arg-type]
            Accepted("text"),  # type: ignore[arg-type]
            Accepted([1]),  # type: ignore[arg-type]
            Accepted({"a": object()}),
            Accepted({1: 1}),  # type: ignore[dict-item]
            Accepted({"": 1}),
            Accepted({"a": "\ud800"}),
            Accepted({"a": 10**5000}),
            Accepted({"a": float("inf")}),
            Accepted({"a": 10**60 + 1}),
            Accepted({"a": deep(40)}),
            Accepted({"a": deep(100_000)}),
            Accepted(cyclic()),
            Accepted({}, object()),
            Accepted({}, float("nan")),
            Accepted({}, {1, 2}),
            Accepted({}, deep(100_000)),
            Accepted({}, "\ud800"),
            Accepted({}, emits="x"),  # type: ignore[arg-type]
            Accepted({}, emits=(None,)),  # type: ignore[arg-type]
            Accepted({}, emits=(Emit("", "k"),)),
            Accepted({}, emits=(Emit("a", "k" * 257),)),
            Accepted({}, emits=(Emit("a", "k", client=""),)),
            Accepted({}, emits=(Emit("a", "k", client="\ud800"),)),
            Accepted({}, emits=(Emit("a", "k", {"a": float("nan")}),)),
            Accepted({}, emits=(Emit("a", "k", {"a": deep(60)}),)),
            Accepted({}, emits=(Emit("a", "k", {"a": "x" * 300_000}),)),
            Accepted({}, emits=(Emit("a", "k", 5),)),  # type: ignore[arg-type]
        ]
    )
}

SPOILING: dict[str, Rule] = {
    "spoil.nan": spoil_and_keep(float("nan")),
    "spoil.large": spoil_and_keep("x" * 500_000),
    "spoil.surrogate": spoil_and_keep("\ud800"),
    "spoil.deep": spoil_and_keep(deep(40)),
}
"""Those whose requests must be quarantined."""

RULES: dict[str, Rule] = {
    "add": add,
    "pay": Verified(add),
    "fill": fill,
    "answer": answer,
    "emit": emit,
    "emitted": emitted,
    "event.track": track,
    "delete": delete,
    "reject": reject,
    "reject.surrogate": reject_with_a_surrogate,
    "spoil.reject": spoil_and_reject,
    "spoil.data": spoil_data,
    **RAISING,
    **NO_OUTCOMES,
    **SPOILING,
}
