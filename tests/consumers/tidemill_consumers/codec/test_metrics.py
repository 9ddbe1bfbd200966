"""The lines of metrics are Powertools', and are read as they were written; the page names them all."""

import json
import re

import msgspec
import pytest
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from tests.tree import ROOT
from tidemill_consumers.codec.metrics import METRICS, PROPERTIES, UNITS, Figures, line_of, lines_in, spread

AT = 1_764_000_000.25
EVERY = msgspec.convert({name: 7 for name in UNITS if name not in ("ReplyLatency", "HottestKey")}, Figures)
FIGURES = msgspec.structs.replace(EVERY, hottest_key_share=12.5, reply_latency=(5.0, 900.0), hottest_key="user/1")


def test_a_line_is_what_powertools_writes_of_the_same_figures() -> None:
    theirs = Metrics(namespace="Tidemill")
    theirs.clear_metrics()
    theirs.add_dimension("FunctionName", "apply")
    values = msgspec.to_builtins(FIGURES)
    for name in METRICS:
        for value in values[name] if name == "ReplyLatency" else [values[name]]:
            theirs.add_metric(name, MetricUnit(UNITS[name]), value)
    for name in PROPERTIES:
        theirs.add_metadata(name, values[name])
    expected = json.loads(json.dumps(theirs.serialize_metric_set()))
    theirs.clear_metrics()
    ours = json.loads(line_of(FIGURES, "apply", AT))
    assert ours["_aws"].pop("Timestamp") == 1_764_000_000_250
    expected["_aws"].pop("Timestamp")
    assert ours == expected


def test_what_is_written_is_read() -> None:
    (line,) = lines_in("START RequestId: 1\n" + line_of(FIGURES, "apply", AT) + "\nnothing else\n")
    assert (line.at, line.namespace, line.dimensions) == (1_764_000_000_250, "Tidemill", {"FunctionName": "apply"})
    assert (tuple(line.metrics), line.metrics["ReplyLatency"]) == (METRICS, (5.0, 900.0))
    assert line.figures == FIGURES


def test_what_a_line_does_not_state_is_zero() -> None:
    (line,) = lines_in(line_of(Figures(untold_repeats=2), "direct", AT, ["UntoldRepeats"]))
    assert line.metrics == {"UntoldRepeats": (2.0,)}
    assert line.figures == Figures(untold_repeats=2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"_aws":',
        '{"_aws":{}}',
        '{"_aws":{"Timestamp":1,"CloudWatchMetrics":[]}}',
        '{"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"a","Dimensions":[["b"]],"Metrics":[]}]}}',
        '{"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"a","Dimensions":[[]],"Metrics":[{"Name":"c"}]}]},"c":"d"}',
    ],
)
def test_what_is_no_line_of_metrics_is_passed_over(text: str) -> None:
    assert list(lines_in(text)) == []


def test_a_number_of_another_program_is_a_value_too() -> None:
    meta = '{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"a","Dimensions":[["b"]],"Metrics":[{"Name":"c"}]}]}'
    (line,) = lines_in(f'{{"_aws":{meta},"b":"x","c":3,"d":true}}')
    assert (line.metrics, line.dimensions, line.stated) == ({"c": (3.0,)}, {"b": "x"}, {"d": True})


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250, 10_000])
def test_at_most_a_hundred_values_are_evenly_spread(count: int) -> None:
    some = spread(range(count))
    assert len(some) <= 100
    assert len(some) >= min(count, 50)
    edge = (count - 1 - some[-1]) - some[0] if some else 0
    assert abs(edge) <= count // 50


def test_the_page_names_each_figure_with_its_unit() -> None:
    rows = re.findall(r"^\| (\w+) \| (\w+) \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    metrics = [(name, unit) for name, unit in rows if unit in ("Count", "Percent", "Milliseconds")]
    assert metrics == [(name, UNITS[name]) for name in METRICS]
    assert [name for name, unit in rows if unit == "field"] == list(PROPERTIES)
