"""Which region a client asks: that of what it asks for, else AWS_REGION, else what boto3 makes of its settings."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tidemill import Misconfigured, Producer, Replies
from tidemill.aws.region import check_region, region_of

if TYPE_CHECKING:
    from pathlib import Path

    Patch = pytest.MonkeyPatch

ARN = "arn:aws:kinesis:ap-south-1:111122223333:stream/requests"
URL = "https://sqs.ap-south-1.amazonaws.com/111122223333/phone-1"


@pytest.fixture(autouse=True)
def _settings(monkeypatch: Patch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)


@pytest.mark.parametrize(
    ("resource", "region"),
    [
        (ARN, "ap-south-1"),
        ("arn:aws-cn:kinesis:cn-north-1:111122223333:stream/requests", "cn-north-1"),
        ("arn:aws-us-gov:sns:us-gov-west-1:111122223333:replies", "us-gov-west-1"),
        ("arn:aws:s3:::bucket", None),
        (URL, "ap-south-1"),
        ("https://sqs-fips.us-east-2.amazonaws.com/111122223333/q", "us-east-2"),
        ("https://vpce-1a2b-3c4d.sqs.eu-west-3.vpce.amazonaws.com/111122223333/q", "eu-west-3"),
        ("https://eu-west-2.queue.amazonaws.com/111122223333/q", "eu-west-2"),
        ("http://sqs.us-east-1.localhost.localstack.cloud:4566/000000000000/q", "us-east-1"),
        ("http://127.0.0.1:4566/000000000000/q", None),
        ("https://example.com/sqs.eu-west-1.amazonaws.com/q", None),
        ("requests", None),
        ("", None),
    ],
)
def test_a_resource_may_say_its_region(resource: str, region: str | None) -> None:
    assert region_of(resource) == region


def asked(stream: str = "requests", queue: str = "http://127.0.0.1:1/q") -> tuple[str, str]:
    """The regions of a producer's own clients."""
    producer, replies = Producer(stream, check=False), Replies(queue)
    producer.close()
    replies.close()
    return producer._lifetime.wire.kinesis.meta.region_name, replies._queue._sqs.meta.region_name


def test_aws_region_comes_before_the_others(monkeypatch: Patch, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\nregion = eu-north-1\n")
    assert asked() == ("eu-north-1", "eu-north-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    assert asked() == ("eu-west-3", "eu-west-3")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert asked() == ("eu-west-1", "eu-west-1")
    monkeypatch.setenv("AWS_REGION", "")
    assert asked() == ("eu-west-3", "eu-west-3")


def test_the_stream_and_the_queue_come_before_all(monkeypatch: Patch) -> None:
    assert asked(ARN, URL) == ("ap-south-1", "ap-south-1")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert asked(ARN, URL) == ("ap-south-1", "ap-south-1")
    assert asked("requests", URL) == ("eu-west-1", "ap-south-1")


def test_a_region_that_the_program_gave_boto3_holds(monkeypatch: Patch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    boto3.setup_default_session(region_name="sa-east-1")
    assert asked() == ("sa-east-1", "sa-east-1")


def test_a_client_of_another_region_than_the_streams_is_told() -> None:
    kinesis = boto3.client("kinesis", region_name="eu-west-1")
    with pytest.raises(Misconfigured, match="is in ap-south-1, and the client asks eu-west-1") as told:
        Producer(ARN, kinesis=kinesis, check=False)
    assert told.value.field == "region"
    assert "region_name='ap-south-1'" in str(told.value)
    kinesis.close()
    remedied = boto3.client("kinesis", region_name="ap-south-1")
    Producer(ARN, kinesis=remedied, check=False).close()
    Producer("requests", kinesis=remedied, check=False).close()
    remedied.close()


@pytest.mark.parametrize("client", [object(), SimpleNamespace(meta=None)])
def test_a_client_that_does_not_tell_is_believed(client: Any) -> None:
    check_region(client, ARN)


def test_settings_that_are_none_are_told(monkeypatch: Patch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "no url")
    with pytest.raises(Misconfigured, match="compare the variables AWS_") as told:
        Producer("requests", check=False)
    assert told.value.field == "settings"
