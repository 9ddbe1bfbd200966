"""Finds where in the application's code a rule failed: the frames of its traceback, and the place for the reason.

Room: core. Pure: inspects loaded code, never files, and trusts nothing that a rule could have changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import CodeType, FunctionType, MethodType, TracebackType
from typing import Any

from tidemill_consumers.core.batch import GUARDS, Adding, Aggregatable, Frame

MOST_FRAMES = 20
"""Frames that are kept of a traceback, half of them the first: a recursion has a thousand."""

MOST_CHARACTERS = 120
"""Characters of a place, at most, so that a reason has room for more."""

OURS = tuple(f"tidemill_consumers.{room}." for room in ("core", "codec", "adapters", "isolation"))
"""Name prefixes of this package's modules that run around a rule."""

DEEPEST_WRAPPING = 10


def frames_of(error: BaseException) -> tuple[Frame, ...]:
    """The frames of the application's code and of the code it calls, outermost first."""
    found = tuple(_frames(BaseException.__dict__["__traceback__"].__get__(error)))
    half = MOST_FRAMES // 2
    return found if len(found) <= MOST_FRAMES else (*found[:half], *found[-half:])


def place_of(frames: Sequence[Frame]) -> str:
    """The innermost place in the application's package, which is the first frame's; empty if there are no frames."""
    if not frames:
        return ""
    first = _belonging(frames[0])
    own = [frame for frame in frames if _belonging(frame) == first]
    return _place(own[-1])


def place_of_rule(rule: Callable[..., Any]) -> str:
    """The place where a rule is defined; empty if it is not a Python function."""
    for _ in range(DEEPEST_WRAPPING):
        if isinstance(rule, (*GUARDS, Aggregatable, Adding)):
            rule = rule.rule
        elif type(rule) is partial:
            rule = rule.func
        elif type(rule) is MethodType:
            rule = rule.__func__
        elif type(rule) is FunctionType and "__wrapped__" in rule.__dict__:
            rule = rule.__dict__["__wrapped__"]
    if type(rule) is not FunctionType:
        return ""
    code = rule.__code__
    return _place(_frame(code, code.co_firstlineno, rule.__globals__.get("__name__")))


def _frames(trace: TracebackType | None) -> Iterator[Frame]:
    while trace is not None:
        module = dict.get(trace.tb_frame.f_globals, "__name__")
        if not (type(module) is str and module.startswith(OURS)):
            yield _frame(trace.tb_frame.f_code, trace.tb_lineno, module)
        trace = trace.tb_next


def _frame(code: CodeType, line: int | None, module: object) -> Frame:
    return Frame(code.co_filename, line or 0, code.co_name, _short(code.co_filename, module))


def _short(file: str, module: object) -> str:
    """The file's path, beginning with its top-level package: the part before that depends on the machine."""
    parts = re.split(r"[\\/]", file)
    levels = module.count(".") + 1 if type(module) is str else 1
    return "/".join(parts[-levels - (parts[-1] == "__init__.py") :])


def _belonging(frame: Frame) -> tuple[str, str]:
    """The folder of the frame's top-level package or module, and its name."""
    return frame.file.removesuffix(frame.short), frame.short.partition("/")[0]


def _place(frame: Frame) -> str:
    return f"{frame.short}:{frame.line}, in {frame.function}"[-MOST_CHARACTERS:]
