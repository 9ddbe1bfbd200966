"""Checks an application's table of rules before any request uses it.

Room: core. Pure. The deployed functions do not check: there, requests of a rule that cannot be called are quarantined.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from tidemill.contract.request import MAX_NAME_CHARACTERS, TRACK
from tidemill_consumers.core.batch import GUARDS, Aggregatable
from tidemill_consumers.core.calling.blame import place_of_rule
from tidemill_consumers.core.fitting import MOST_TOTALS
from tidemill_consumers.core.stage.totals import LONGEST_COMMAND

MOST_TOLD = 3
"""Problems of one table that are reported at once."""


def problem_of(rules: object) -> str | None:
    """Why some rules cannot be called, by command; None if all can."""
    if not isinstance(rules, Mapping):
        return f"RULES is no mapping of commands to rules, but a {type(rules).__name__}"
    return "; ".join(islice(_problems(rules), MOST_TOLD)) or None


def _problems(rules: Mapping[object, object]) -> Iterator[str]:
    aggregatable = [cmd for cmd, rule in rules.items() if isinstance(rule, Aggregatable)]
    if len(aggregatable) > MOST_TOTALS:
        yield f"RULES has {len(aggregatable)} commands in Aggregatable, and an item has room for {MOST_TOTALS}"
    for cmd, rule in rules.items():
        if not isinstance(cmd, str) or not 1 <= len(cmd) <= MAX_NAME_CHARACTERS:
            yield f"RULES has the command {cmd!r:.40}, which is no text of 1 to {MAX_NAME_CHARACTERS} characters"
        elif problem := _unaggregatable(cmd, rule) or _problem(rule):
            yield f"RULES[{cmd!r}] {problem}"


def _unaggregatable(cmd: str, rule: object) -> str | None:
    if not isinstance(rule, Aggregatable):
        return None
    if cmd == TRACK:
        return "is in Aggregatable, and the stage does not see records without the contract, which this one counts"
    if len(cmd) > LONGEST_COMMAND:
        return f"is in Aggregatable, so that it may have {LONGEST_COMMAND} characters: a writer is named by it"
    return None


def _problem(wrapped: object) -> str | None:
    rule = wrapped.rule if isinstance(wrapped, (*GUARDS, Aggregatable)) else wrapped
    takes = f"a document and {'an amount' if isinstance(wrapped, Aggregatable) else 'a request'}"
    if isinstance(rule, type):
        return f"is the class {rule.__name__}, and must be a function of {takes}"
    if not callable(rule):
        return f"is {type(rule).__name__}, and must be a function of {takes}"
    where = f" ({place})" if (place := place_of_rule(rule)) else ""
    if inspect.iscoroutinefunction(rule) or inspect.isgeneratorfunction(rule) or inspect.isasyncgenfunction(rule):
        return f"is a coroutine or a generator{where}, and must be a plain function that returns its outcome"
    if not _takes_two(rule):
        return f"takes {inspect.signature(rule)}{where}, and must take {takes}"
    return None


def _takes_two(rule: Callable[..., object]) -> bool:
    try:
        inspect.signature(rule).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # some functions in C have no signature
        return True
    return True
