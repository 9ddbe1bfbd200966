"""The stage's settings are read from runtime properties, and wrong ones are named."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from tidemill_consumers.core.stage.leaving import periods_in as of_the_functions
from tidemill_stream.settings import InvalidSettings, Settings, generation_name, periods_in

GIVEN = {
    "generation": "20260101T000000Z-abcdef",
    "begin": "1764500000",
    "commands": '{"content.view": null, "cart.add": "count"}',
    "periods": "1764000000-1764003600,1764090000-",
    "stream.arn": "arn:aws:kinesis:us-east-1:000000000000:stream/requests",
}


def test_properties_and_what_is_left_out() -> None:
    found = Settings.read(GIVEN)
    assert found.commands == {"content.view": None, "cart.add": "count"}
    assert found.periods == ((1764000000, 1764003600), (1764090000, None))
    assert (found.begin, found.window, found.horizon) == (1764500000, 10, 3600)
    assert found.stages == ("coalesce", "top_content", "anomalies")
    assert found.values == {"stream_arn": GIVEN["stream.arn"]}


def test_settings_are_written_as_properties_and_read_again() -> None:
    given = replace(Settings.read(GIVEN), window=20, horizon=60, stages=("coalesce",), binding="files")
    assert Settings.read(given.properties) == given


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("generation", "20260101T000000Z-ABCDEF"),
        ("generation", "2026'--"),
        ("begin", "1764500003"),
        ("begin", "-10"),
        ("begin", ""),
        ("commands", "{}"),
        ("commands", '["content.view"]'),
        ("commands", '{"content.view": 1}'),
        ("commands", '{"content.view": ""}'),
        ("commands", '{"": null}'),
        ("periods", ""),
        ("periods", "2-1"),
        ("periods", "1-,5-6"),
        ("window.seconds", "0"),
        ("window.seconds", "3601"),
        ("horizon.seconds", "0"),
        ("stages", "coalesce,top"),
        ("stages", ""),
    ],
)
def test_a_wrong_property_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=rf"^{name}: "):
        Settings.read({**GIVEN, name: value})


@pytest.mark.parametrize("name", ["generation", "begin", "commands", "periods"])
def test_a_missing_property_is_named(name: str) -> None:
    with pytest.raises(InvalidSettings, match=rf"^{name}: "):
        Settings.read({one: value for one, value in GIVEN.items() if one != name})


@pytest.mark.parametrize("text", ["1-", "1-2", "1-2,3-", "1764000000-1764003600,1764090000-1764090001", "0-"])
def test_periods_are_the_ones_of_the_functions(text: str) -> None:
    mine = tuple((float(begin), inf if end is None else float(end)) for begin, end in periods_in(text))
    assert mine == tuple(map(tuple, of_the_functions(text)))


@pytest.mark.parametrize("text", ["1", "-1", "1-1", "2-1", "1-,2-", "1-2,2-3", "1-2,", "a-b", "123456789012-"])
def test_what_are_no_periods_are_none_of_the_functions(text: str) -> None:
    with pytest.raises(InvalidSettings):
        periods_in(text)
    with pytest.raises(ValueError, match="periods"):
        of_the_functions(text)


def test_names_of_generations_sort_by_time() -> None:
    assert generation_name(1_767_225_600.9, "abcdef") == GIVEN["generation"]
    assert generation_name(1_767_225_600, "zzzzzz") < generation_name(1_767_225_601, "000000")
