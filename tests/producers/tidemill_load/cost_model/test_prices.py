"""The list of prices, and a user's own in its place."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from tidemill_load.cost_model.bill import Counts, priced_as
from tidemill_load.cost_model.prices import PriceError, list_prices, read_prices

if TYPE_CHECKING:
    from pathlib import Path


def test_everything_that_is_counted_has_a_price_with_its_source() -> None:
    prices = list_prices()
    assert prices.items.keys() == {priced_as(field.name) for field in fields(Counts)} - {"requests"}
    assert all(one.source.startswith("https://aws.amazon.com/") and one.dollars > 0 for one in prices.items.values())
    assert (prices.region, prices.date[:2], len(prices.date)) == ("us-east-1", "20", 10)


@pytest.mark.parametrize(
    ("item", "quantity", "dollars"),
    [
        ("invocations", 1e6, 0.20),
        ("gb_seconds", 1e6, 16.6667),
        ("arm_gb_seconds", 1e6, 13.3334),
        ("http_requests", 1e6, 1.00),
        ("rest_requests", 1e6, 3.50),
        ("websocket_messages", 1e6, 1.00),
        ("shard_hours", 730, 10.95),
        ("put_units", 1e6, 0.014),
        ("stream_hours", 730, 29.20),
        ("stream_bytes_in", 2**30, 0.08),
        ("stream_bytes_out", 2**30, 0.04),
        ("firehose_bytes", 2**30, 0.029),
        ("write_units", 1e6, 0.625),
        ("read_units", 1e6, 0.125),
        ("sns_messages", 1e6, 0.50),
        ("sqs_requests", 1e6, 0.40),
        ("iot_messages", 1e6, 1.00),
        ("iot_rules", 1e6, 0.15),
        ("iot_actions", 1e6, 0.15),
        ("s3_puts", 1000, 0.005),
        ("s3_gets", 1000, 0.0004),
        ("s3_byte_months", 2**30, 0.023),
    ],
)
def test_the_list_is_as_aws_publishes_it(item: str, quantity: float, dollars: float) -> None:
    assert list_prices().items[item].of(quantity) == pytest.approx(dollars)


def test_a_users_price_takes_the_place_of_one_and_says_where_it_is_from(tmp_path: Path) -> None:
    own = tmp_path / "eu.toml"
    own.write_text('date = 2026-10-01\nregion = "eu-central-1"\n[shard_hours]\ndollars = 0.018\n')
    prices = read_prices(own)
    assert (prices.date, prices.region) == ("2026-10-01", "eu-central-1")
    assert prices.items["shard_hours"].of(100) == pytest.approx(1.8)
    assert str(own) in prices.items["shard_hours"].source
    assert prices.items["invocations"] == list_prices().items["invocations"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[shard_hours\n", "is not TOML"),
        ("[shard_hours]\ndollars = 1", "does not say when its prices held; add a line such as date = "),
        ("date = 2026-10-01\n[shard_hour]\ndollars = 1", "did you mean [shard_hours]?"),
        ("date = 2026-10-01\n[zzz]\ndollars = 1", "use http_requests, "),
        ("date = 2026-10-01\n[shard_hours]\ndollars = -1", "[shard_hours] dollars is -1; it should be a number, 0 or"),
        ("date = 2026-10-01\n[shard_hours]\ndollars = nan", "dollars is nan"),
        ("date = 2026-10-01\n[shard_hours]\ndollars = true", "dollars is True"),
        ('date = 2026-10-01\n[shard_hours]\ndollars = "1"', "dollars is '1'"),
        ("date = 2026-10-01\n[shard_hours]\ndollars = 1\nper = 0", "per is 0; say how many the dollars are for"),
        ("date = 2026-10-01\n[shard_hours]\ndollar = 1", "has dollar; a price has service, unit, dollars, per, source"),
        ("date = 2026-10-01\nshard_hours = 1", "[shard_hours] should be a table"),
        ("date = 2026-10-01\n[" + ".".join("a" * 5_000) + "]", "own.toml"),
        ("date = 2026-10-01\na = " + "[" * 5_000, "is not TOML"),
        ("date = 2026-10-01\n[shard_hours]\ndollars = " + "9" * 5_000, "own.toml"),
        ("date = 2026-10-01\n[shard_hours]\ndollars = " + "9" * 400, "should be a number, 0 or more"),
        ('date = 2026-10-01\nregion = "\\u001b[2J"', r"region is '\x1b[2J'; it should be a line of text"),
        ('date = 2026-10-01\n[shard_hours]\ndollars = 1\nsource = "\\u001b[2J"', "source is"),
    ],
)
def test_what_is_no_price_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text)
    with pytest.raises(PriceError) as told:
        read_prices(own)
    assert str(own) in str(told.value)
    assert message in str(told.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(PriceError, match="cannot be read: No such file"):
        read_prices(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(PriceError, match="is not UTF-8"):
        read_prices(tmp_path / "bytes.toml")
