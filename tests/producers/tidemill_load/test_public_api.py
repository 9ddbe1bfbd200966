"""What the load test and the cost model promise by name, and that importing the package is light."""

import subprocess
import sys

import pytest

import tidemill_load


def test_the_exported_names() -> None:
    assert tidemill_load.__all__ == [
        "Assumptions",
        "Bill",
        "Counts",
        "Design",
        "Impossible",
        "KeyDistribution",
        "Point",
        "Prices",
        "break_even",
        "cost",
        "curve",
        "list_prices",
        "price",
        "read_prices",
    ]


def test_every_exported_name_is_there() -> None:
    for name in tidemill_load.__all__:
        assert getattr(tidemill_load, name), name


def test_importing_it_is_light() -> None:
    program = "import sys, tidemill_load; print(sorted({'tidemill_load.cost_model', 'boto3'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_that_is_not_there_is_told() -> None:
    with pytest.raises(AttributeError, match="module 'tidemill_load' has no attribute 'workload'"):
        getattr(tidemill_load, "workload")  # noqa: B009 - a type checker tells it, too
