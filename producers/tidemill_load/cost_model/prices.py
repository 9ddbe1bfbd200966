"""AWS's prices: a dated list with a source for each price, which a user's own file can override.

Room: load, pure but for reading the given file. Knows prices, not quantities.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from math import isfinite, nan
from pathlib import Path
from types import MappingProxyType
from typing import Any


class PriceError(Exception):
    """The file is not a list of prices; the message says what is wrong and where."""


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a quantity.

    Attributes:
        service: the AWS service, such as `Lambda`.
        unit: the counted unit, in the plural.
        dollars: US dollars for `per` units.
        per: the number of units that `dollars` buys.
        source: the page or file that states the price.
    """

    service: str
    unit: str
    dollars: float
    per: float
    source: str

    def of(self, quantity: float) -> float:
        """Dollars for a quantity."""
        return quantity * self.dollars / self.per


@dataclass(frozen=True, slots=True)
class Prices:
    """A list of prices.

    Attributes:
        date: the day on which they held, ISO 8601.
        region: the AWS region.
        items: the counted item, a field of `cost.Counts` -> its price.
    """

    date: str
    region: str
    items: Mapping[str, Price]

    def other_than(self, usual: Prices) -> dict[str, float]:
        """Dollars per unit of each item whose price differs from the `usual` one."""
        return {item: price.of(1) for item, price in self.items.items() if price.of(1) != usual.items[item].of(1)}


_FIELDS = ("service", "unit", "dollars", "per", "source")


def list_prices() -> Prices:
    """The list that comes with Tidemill: us-east-1, first tier, without the free tier."""
    return _parse(files("tidemill_load.cost_model").joinpath("prices.toml").read_text("utf-8"), None, "prices.toml")


def read_prices(path: Path) -> Prices:
    """The list in a file of the form of prices.toml; prices that it leaves out are taken from prices.toml.

    Raises:
        PriceError: the file cannot be read, or an entry is not a price.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise PriceError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PriceError(f"{path} is not UTF-8 text; it should be TOML") from None
    return _parse(text, list_prices(), str(path))


def _parse(text: str, base: Prices | None, name: str) -> Prices:
    try:
        tables: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, or tables nested as deep
        raise PriceError(f"{name} is not TOML: {error}") from None
    date, region = tables.pop("date", None), tables.pop("region", base.region if base else None)
    if date is None:
        raise PriceError(f"{name} does not say when its prices held; add a line such as date = 2026-11-25")
    items = dict(base.items) if base else {}
    for key, table in tables.items():
        if base and key not in base.items:
            raise PriceError(f"{name}: {_unknown(key, base.items)}")
        items[key] = _price(table, items.get(key), f"{name}: [{key}]")
    return Prices(_line(date, f"{name}: date"), _line(region, f"{name}: region"), MappingProxyType(items))


def _unknown(key: str, known: Mapping[str, Price]) -> str:
    close = get_close_matches(key, known, 1)
    hint = f"did you mean [{close[0]}]?" if close else f"use {', '.join(known)}"
    return f"nothing is counted as [{key}]; {hint}"


def _price(table: object, before: Price | None, where: str) -> Price:
    if not isinstance(table, dict):
        raise PriceError(f"{where} should be a table with the line dollars = …")
    if strange := table.keys() - _FIELDS:
        raise PriceError(f"{where} has {', '.join(sorted(strange))}; a price has {', '.join(_FIELDS)}")
    given = {"source": where} | table if "dollars" in table else table
    found = ({name: getattr(before, name) for name in _FIELDS} if before else {}) | given
    per = _number(found["per"], f"{where} per")
    if not per:
        raise PriceError(f"{where} per is 0; say how many the dollars are for")
    dollars = _number(found["dollars"], f"{where} dollars")
    service, unit, source = (_line(found[field], f"{where} {field}") for field in ("service", "unit", "source"))
    return Price(service, unit, dollars, per, source)


def _line(value: object, where: str) -> str:
    """A text for display; one with control characters, which could steer a terminal, is refused."""
    text = value if isinstance(value, str) else str(value)
    if not text.isprintable():
        raise PriceError(f"{where} is {text!a:.80}; it should be a line of text")
    return text


def _number(value: object, where: str) -> float:
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else nan
    except OverflowError:
        number = nan
    if not isfinite(number) or number < 0:
        raise PriceError(f"{where} is {value!r:.80}; it should be a number, 0 or more")
    return number
