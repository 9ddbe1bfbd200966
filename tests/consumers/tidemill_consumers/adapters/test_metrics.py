"""The metrics' lines."""

import json

import pytest

from tidemill_consumers.adapters.metrics import put_metric


def test_a_metric_is_a_line_that_cloudwatch_understands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "apply")
    put_metric("EvictedMarks", 3)
    line = json.loads(capsys.readouterr().out)
    (metric,) = line["_aws"]["CloudWatchMetrics"]
    assert metric == {
        "Namespace": "Tidemill",
        "Dimensions": [["FunctionName"]],
        "Metrics": [{"Name": "EvictedMarks", "Unit": "Count"}],
    }
    assert (line["FunctionName"], line["EvictedMarks"]) == ("apply", 3)
    assert isinstance(line["_aws"]["Timestamp"], int)
