"""Counts times prices."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tidemill_load.cost_model.bill import PARTS, Counts, price
from tidemill_load.cost_model.prices import list_prices

ALL = Counts(**{field.name: 1e6 for field in fields(Counts)})


def test_a_request_answered_directly_costs_what_its_parts_cost() -> None:
    bill = price(Counts(requests=1e6, http_requests=1e6, invocations=1e6, gb_seconds=1000), list_prices())
    dollars = {line.item: line.dollars for line in bill.lines}
    assert dollars == pytest.approx({"http_requests": 1.0, "invocations": 0.2, "gb_seconds": 0.0166667})
    assert bill.total == pytest.approx(1.2166667)
    assert bill.date == list_prices().date


def test_it_is_shown_for_a_million_requests_whatever_it_was_counted_for() -> None:
    bill = price(Counts(requests=500, invocations=500), list_prices())
    assert bill.total == pytest.approx(0.0001)
    assert bill.per_million == pytest.approx(0.2)


def test_nothing_costs_nothing() -> None:
    bill = price(Counts(requests=0), list_prices())
    assert (bill.lines, bill.total, bill.per_million) == ((), 0, 0)


def test_everything_counted_is_on_the_bill_once_and_belongs_to_a_part() -> None:
    bill = price(ALL, list_prices())
    assert [line.item for line in bill.lines] == [field.name for field in fields(Counts) if field.name != "requests"]
    names = [(line.service, line.unit) for line in bill.lines]
    assert len(names) == len(set(names)), "each is told from the others"
    assert sum(map(bill.part, PARTS)) == pytest.approx(bill.per_million)
    parts = {part: {line.service for line in bill.lines if line.part == part} for part in PARTS}
    assert parts == {
        "delivery": {"API Gateway", "Lambda", "Kinesis", "IoT Core", "S3"},
        "database": {"DynamoDB"},
        "objects": {"S3"},
        "replies": {"SNS", "SQS"},
        "archive": {"Firehose", "S3"},
        "users": {"Cognito"},
    }
