"""Where a rule failed: its own code's line, whatever called it and whatever it called. Values only."""

import json
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from types import CodeType, FunctionType, TracebackType
from typing import Any, cast

import pytest

from tidemill.contract.request import Request, encode
from tidemill_consumers.core.batch import Accepted, Arrival, Frame, Internal, Position, Rejected, State, Verified
from tidemill_consumers.core.calling.asking import Refused, Watch, ask
from tidemill_consumers.core.calling.blame import (
    DEEPEST_WRAPPING,
    MOST_CHARACTERS,
    MOST_FRAMES,
    frames_of,
    place_of,
    place_of_rule,
)
from tidemill_consumers.core.calling.eliminating import noting

REQUEST = Request(id="1", cmd="c", key="k", data={})
ARRIVAL = Arrival("s", Position(1, 0), 1000.0, "k", REQUEST, encode(REQUEST))

SHOP = """
def reserve(state, request):
    return count(request)

def count(request):
    return request.data["count"]

def parse(state, request):
    import json
    return json.loads("{")

def forget(state, request):
    pass

def deep(state, request, levels=100):
    if not levels: raise ValueError("deep")
    return deep(state, request, levels - 1)
"""


def made(file: str = "/var/task/shop/rules.py", module: str = "shop.rules") -> dict[str, Any]:
    """The rules as a module that lies there would have them."""
    names: dict[str, Any] = {"__name__": module}
    exec(compile(SHOP, file, "exec"), names)
    return names


def refused(rule: Any) -> Refused:
    found = ask(rule, None, False, ARRIVAL, 0, Watch())
    assert isinstance(found, Refused)
    return found


def test_the_reason_names_the_line_that_raised_by_its_package() -> None:
    found = refused(made()["reserve"])
    assert found.reason == "the rule raised KeyError: 'count' (shop/rules.py:6, in count)"
    file = "/var/task/shop/rules.py"
    assert found.trace == (Frame(file, 3, "reserve", "shop/rules.py"), Frame(file, 6, "count", "shop/rules.py"))


def test_what_a_library_raises_is_told_by_the_rules_own_line() -> None:
    found = refused(made()["parse"])
    assert found.reason.endswith("(shop/rules.py:10, in parse)")
    assert [frame.file for frame in found.trace][-1] == json.decoder.__file__


def test_an_outcome_that_is_none_is_told_by_the_rules_own_place() -> None:
    reason = "the rule returned NoneType, which is neither Accepted(…) nor Rejected(…) (shop/rules.py:12, in forget)"
    assert refused(made()["forget"]) == Refused(reason)


@pytest.mark.parametrize(
    ("file", "module", "short"),
    [
        ("/home/ann/shop.py", "shop", "shop.py"),
        ("/home/ann/shop/__init__.py", "shop", "shop/__init__.py"),
        ("C:\\ann\\shop\\rules\\__init__.py", "shop.rules", "shop/rules/__init__.py"),
        ("<string>", "shop.rules", "<string>"),
        ("/home/ann/shop.py", cast("str", None), "shop.py"),
    ],
)
def test_a_file_is_named_from_its_top_level_package_on(file: str, module: str, short: str) -> None:
    assert place_of_rule(made(file, module)["forget"]) == f"{short}:12, in forget"


def outermost(rule: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(rule)
    def wrapped(state: State, request: Request) -> Accepted | Rejected:
        return cast("Accepted", rule(state, request))

    return wrapped


@pytest.mark.parametrize(
    "wrap",
    [
        Verified,
        Internal,
        outermost,
        partial,
        lambda rule: rule.__get__(7),
        lambda rule: Verified(partial(outermost(rule))),
        lambda rule: noting({"c": rule}, Watch(), {}, lambda place: None)["c"],
    ],
)
def test_a_rule_is_found_within_what_wraps_it(wrap: Callable[[Any], Any]) -> None:
    assert place_of_rule(wrap(made()["forget"])) == "shop/rules.py:12, in forget"


def test_what_is_no_function_of_pythons_has_no_place() -> None:
    assert place_of_rule(max) == ""
    within = outermost(max)
    within.__dict__["__wrapped__"] = within
    assert place_of_rule(within) != "", "one that wraps itself ends too"


def test_a_recursion_keeps_its_two_ends() -> None:
    found = refused(made()["deep"])
    assert len(found.trace) == MOST_FRAMES
    assert {frame.line for frame in found.trace} == {16, 17}
    assert found.reason == "the rule raised ValueError: deep (shop/rules.py:16, in deep)"


class Lying(Exception):
    @property
    def __traceback__(self) -> TracebackType:  # type: ignore[override] # which is the point
        raise SystemExit


def test_an_exception_that_hides_its_traceback_has_one_all_the_same() -> None:
    def lie(state: State, request: Request) -> Accepted:
        raise Lying

    assert [frame.function for frame in refused(lie).trace] == ["lie"]


def test_the_code_around_a_rule_is_never_to_blame() -> None:
    try:
        ask(cast("Any", made()["reserve"]), cast("State", 7), False, ARRIVAL, 0, cast("Watch", None))
    except AttributeError as error:
        frames = frames_of(error)
    assert [Path(frame.file).name for frame in frames] == ["test_blame.py"]
    assert place_of(()) == ""


def test_a_place_has_room_beside_the_reason() -> None:
    code: CodeType = made("/" + "x" * 500 + ".py", "shop")["forget"].__code__
    assert len(place_of((Frame(code.co_filename, 1, "forget", code.co_filename[1:]),))) == 120


def test_as_much_is_told_as_the_documentation_says() -> None:
    assert (MOST_FRAMES, MOST_CHARACTERS, DEEPEST_WRAPPING) == (20, 120, 10)


def test_the_application_s_own_code_is_the_package_that_the_first_frame_lies_in() -> None:
    own = [Frame(f"/var/task/shop/{name}.py", line, name, f"shop/{name}.py") for line, name in enumerate("ab", 1)]
    beside = Frame("/var/task/cart/c.py", 3, "c", "cart/c.py")
    elsewhere = Frame("/opt/python/shop/d.py", 4, "d", "shop/d.py")
    assert place_of([*own, beside, elsewhere]) == "shop/b.py:2, in b"
    assert place_of([beside, *own, elsewhere]) == "cart/c.py:3, in c"
    assert place_of([own[0], elsewhere]) == "shop/a.py:1, in a"


@pytest.mark.parametrize("module", [None, 7])
def test_code_of_no_module_is_named_by_its_file(module: Any) -> None:
    assert refused(made(module=module)["reserve"]).reason.endswith("(rules.py:6, in count)")


def test_code_that_has_no_lines_fails_in_line_0() -> None:
    names = made()
    rule = FunctionType(names["count"].__code__.replace(co_linetable=b""), names)
    assert refused(lambda state, request: rule(request)).trace[-1].line == 0


@pytest.mark.parametrize("frames", [MOST_FRAMES - 1, MOST_FRAMES, MOST_FRAMES + 1])
def test_of_too_many_frames_those_in_the_middle_are_left_out(frames: int) -> None:
    try:
        made()["deep"](None, REQUEST, frames - 2)
    except ValueError as error:
        found = frames_of(error)
    lines = [one.line for one in found]
    assert [one.function for one in found[1:]] == ["deep"] * (min(frames, MOST_FRAMES) - 1)
    assert lines[1:] == [17] * (len(lines) - 2) + [16]


@pytest.mark.parametrize(("times", "is_found"), [(DEEPEST_WRAPPING, True), (DEEPEST_WRAPPING + 1, False)])
def test_a_rule_is_looked_for_within_ten_that_wrap_it(times: int, is_found: bool) -> None:
    rule = made()["forget"]
    for _ in range(times):
        rule = Verified(rule)
    assert place_of_rule(rule) == ("shop/rules.py:12, in forget" if is_found else "")
