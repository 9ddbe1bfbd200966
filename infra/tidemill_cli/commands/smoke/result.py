"""The outcome of each step of `tidemill smoke`, as a line and as --json writes it.

Room: command line, pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

NAME_WIDTH = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """A step's outcome.

    Attributes:
        step: its name.
        verdict: "skip" where the stack lacks the part that the step is about.
        detail: what was seen, or why it failed.
        seconds: that it took.
    """

    step: str
    verdict: Literal["pass", "fail", "skip"]
    detail: str
    seconds: float

    @property
    def line(self) -> str:
        """The line that is shown."""
        return f"{self.verdict}  {self.step:<{NAME_WIDTH}}  {self.seconds:5.1f} s  {self.detail}"


def has_passed(outcomes: Sequence[Outcome]) -> bool:
    """Whether no step failed."""
    return all(one.verdict != "fail" for one in outcomes)


def as_json(stack: str, region: str, run: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The result as a document.

    Args:
        stack: its name.
        region: where it is.
        run: what the keys and ids of this run begin with.
        outcomes: of the steps, in order.
    """
    steps = [
        {"step": one.step, "verdict": one.verdict, "detail": one.detail, "seconds": round(one.seconds, 3)}
        for one in outcomes
    ]
    return {"stack": stack, "region": region, "run": run, "passed": has_passed(outcomes), "steps": steps}
