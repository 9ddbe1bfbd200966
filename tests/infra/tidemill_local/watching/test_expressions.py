"""Metric math is what AWS's page says of it, with the page's own examples."""

import pytest

from tidemill_local.watching.alarm import UnknownAlarm
from tidemill_local.watching.datapoints import Series
from tidemill_local.watching.expressions import evaluate

BEGINS = range(5)
NESTED = ("IF(m, [m], 1)", "FILL([m], 0)", "MIN([1, m])", "MIN(m) + 1", "RATE(m) + 1", "m AND 1")


def series(text: str) -> Series:
    return {at: float(one) for at, one in enumerate(text.split()) if one != "-"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # The page's examples of comparison and logical operators.
        ("metric1 < metric2", "0 0 1 0"),
        ("metric1 >= 30", "1 0 0 0"),
        ("metric1 > 15 AND metric2 > 15", "1 0 0 0"),
        ("metric1 > 25 OR metric2 > 15", "1 0 1 0"),
        ("metric1 - metric2", "10 20 -20 0"),
        ("metric2 / metric1", "0.6666666666666666 0 - -"),
        ("metric1 / metric2", "1.5 - 0 -"),
        ("-metric2", "-20 - -20 -"),
        ("2 * metric2 + 1", "41 - 41 -"),
        ("MIN([metric1 - 10, metric2])", "20 10 -10 -10"),
        ("MAX([metric1, metric2])", "30 20 20 0"),
        ("SUM([metric1, metric2])", "50 20 20 0"),
        ("FILL(metric2, 7)", "20 7 20 7 7"),
        ("FILL(none, 7)", "- - - -"),
        ("incoming - 1000000000 * none", "3 4 - -"),
    ],
)
def test_an_expression_has_these_values(expression: str, expected: str) -> None:
    given = {"metric1": series("30 20 0 0"), "metric2": series("20 - 20 -"), "none": {}, "incoming": series("3 4 - -")}
    assert evaluate(expression, given, BEGINS) == series(expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("IF(metric1, metric2, metric3)", "30 0 20 - -"),
        ("IF(metric1, 5, metric3)", "5 5 20 - -"),
        ("IF(metric1, metric2, 5)", "30 0 5 5 5"),
        ("IF(metric2 > 0, 0, metric3)", "0 - 20 - 0"),
    ],
)
def test_if_is_as_in_the_pages_tables(expression: str, expected: str) -> None:
    given = {"metric1": series("1 1 0 0 -"), "metric2": series("30 - 0 0 30"), "metric3": series("0 0 20 - 20")}
    assert evaluate(expression, given, BEGINS) == series(expected)


@pytest.mark.parametrize(
    "expression", ["1 + 1", "RATE(m)", "m ** 2", "other", "MIN(m)", "[m, m]", "[m] + 1", "FILL(m, m)", *NESTED]
)
def test_what_is_not_evaluated_here_is_an_error(expression: str) -> None:
    with pytest.raises(UnknownAlarm):
        evaluate(expression, {"m": {0: 1.0}}, BEGINS)
