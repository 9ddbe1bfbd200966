"""A temporary queue for replies, where SNS has no room for another one. The other ways are in test_send.py."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import Stub
from tidemill import TooManyQueues, reply_queue
from tidemill_local.emulator import Emulator

TOPIC = "arn:aws:sns:us-east-1:000000000000:replies"


def queues(emulator: Emulator, name: str) -> list[str]:
    found: list[str] = emulator.client("sqs").list_queues(QueueNamePrefix=name).get("QueueUrls", [])
    return found


def test_a_topic_with_as_many_filters_as_it_may_have_says_what_to_do_and_leaves_no_queue(
    emulator: Emulator, stub: Stub
) -> None:
    sns, stubber = stub("sns")
    stubber.add_client_error("subscribe", "FilterPolicyLimitExceeded", "too many", 403)

    def client_of(service: str) -> Any:
        return sns if service == "sns" else emulator.client("sqs")

    with (
        pytest.raises(TooManyQueues, match=r"200 .*hears=\{'prefix'") as refused,
        reply_queue(TOPIC, hears="phone-1", client_of=client_of, name="full-topic"),
    ):
        pytest.fail("there is no room")
    assert refused.value.topic_arn == TOPIC
    assert queues(emulator, "full-topic") == []


def test_another_refusal_stays_what_it_is(emulator: Emulator, stub: Stub) -> None:
    sns, stubber = stub("sns")
    stubber.add_client_error("subscribe", "AuthorizationError", "no", 403)

    def client_of(service: str) -> Any:
        return sns if service == "sns" else emulator.client("sqs")

    with (
        pytest.raises(ClientError, match="AuthorizationError"),
        reply_queue(TOPIC, client_of=client_of, name="refused-topic"),
    ):
        pytest.fail("it may not")
    assert queues(emulator, "refused-topic") == []


def test_a_subscription_that_cannot_be_ended_leaves_no_queue(emulator: Emulator, stub: Stub) -> None:
    sns, stubber = stub("sns")
    stubber.add_response("subscribe", {"SubscriptionArn": f"{TOPIC}:1"})
    stubber.add_client_error("unsubscribe", "AuthorizationError", "no", 403)

    def client_of(service: str) -> Any:
        return sns if service == "sns" else emulator.client("sqs")

    with (
        pytest.raises(ClientError, match="Unsubscribe"),
        reply_queue(TOPIC, client_of=client_of, name="kept-subscription"),
    ):
        assert queues(emulator, "kept-subscription") != []
    assert queues(emulator, "kept-subscription") == []
