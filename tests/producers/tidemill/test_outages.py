"""Outages that pass: credentials whose provider does not answer for a while, and a day without a network."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.session import get_session

from tests.answering import good, raw, service
from tidemill import Producer, Spool

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 30


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The SDK's own, each up to its first colon."""
    return [one.getMessage().split(":")[0] for one in caplog.records if one.name.startswith("tidemill")]


def test_a_renewal_of_credentials_that_fails_for_a_while_costs_no_request(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.sending.backoff.FIRST_BACKOFF", 0.02)
    asked = 0

    def renew() -> dict[str, str]:
        nonlocal asked
        asked += 1
        if asked <= 3:
            raise OSError("the metadata service does not answer")
        end = datetime.now(UTC) + timedelta(hours=1)
        return {"access_key": "a", "secret_key": "b", "token": "c", "expiry_time": end.isoformat()}

    core = get_session()
    over = datetime.now(UTC) - timedelta(seconds=1)
    monkeypatch.setattr(core, "_credentials", RefreshableCredentials("a", "b", "c", over, renew, "test"))
    caplog.set_level(logging.WARNING)
    with service(usually=good) as there:
        kinesis = boto3.Session(botocore_session=core).client(
            "kinesis", region_name="us-east-1", endpoint_url=there.url
        )
        with Producer("requests", kinesis=kinesis, check=False, linger=0) as producer:
            assert producer.send("c", key="k").result(PATIENCE).sequence == "1"
    kinesis.close()
    assert asked == 4
    assert lines(caplog) == ["cannot send to the stream", "requests reach the stream again"]


def test_an_outage_is_two_lines_however_much_is_sent_meanwhile(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tidemill.sending.backoff.FIRST_BACKOFF", 0.02)
    caplog.set_level(logging.INFO)
    with service(*[raw(b"")] * 4, usually=good) as there:  # nothing answers, and then somebody does
        kinesis = boto3.client(
            "kinesis",
            region_name="us-east-1",
            endpoint_url=there.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}),
        )
        with Producer("requests", kinesis=kinesis, check=False, linger=0, spool=Spool(tmp_path / "spool")) as producer:
            handles = [producer.send("c", key=f"k/{number}") for number in range(2_000)]
            for handle in handles:
                handle.result(PATIENCE)
    kinesis.close()
    assert lines(caplog) == ["cannot send to the stream", "requests reach the stream again"]
