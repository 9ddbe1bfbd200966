"""The metrics' lines are written, or nobody takes them."""

import pytest

from tidemill_consumers.adapters.metrics import Metrics
from tidemill_consumers.codec.metrics import ALARMING, Figures, lines_in


def test_a_line_has_the_functions_name_and_the_time() -> None:
    lines: list[str] = []
    Metrics("apply", lines.append, lambda: 1_764_000_000.5).put(Figures(evicted_marks=3), ALARMING)
    (line,) = lines_in(lines[0])
    assert (line.dimensions, line.at) == ({"FunctionName": "apply"}, 1_764_000_000_500)
    assert line.metrics == {"Quarantined": (0.0,), "EvictedMarks": (3.0,), "UntoldRepeats": (0.0,), "EmitLoops": (0.0,)}


def test_without_anybody_to_take_them_there_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    Metrics().put(Figures(records=1))
    assert capsys.readouterr().out == ""
