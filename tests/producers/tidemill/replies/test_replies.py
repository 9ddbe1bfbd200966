"""Replies: from an SQS queue's messages to each reply once."""

import json
import logging
from collections.abc import Callable
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber
from types_boto3_sqs import SQSClient

from tidemill import Replies, Reply, ReplyMessage
from tidemill.contract.request import encode

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/replies"

MISSING = ClientError(
    {"Error": {"Code": "NonExistentQueue", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 400}},  # type: ignore[typeddict-item] # the rest is not looked at
    "ReceiveMessage",
)

ONE = Reply("1", "accepted", data={"views": 3})
TWO = Reply("2", "rejected", error="no such content")


def raw(*replies: Reply) -> str:
    return encode(ReplyMessage("alice", replies)).decode()


def enveloped(*replies: Reply) -> str:
    return json.dumps({"Type": "Notification", "MessageId": "7", "TopicArn": "arn", "Message": raw(*replies)})


class Queue:
    """A queue whose messages come again until they are deleted."""

    def __init__(self, *bodies: str) -> None:
        self.messages = {f"handle-{index}": body for index, body in enumerate(bodies)}
        self.received: list[dict[str, Any]] = []
        self.batches: list[list[dict[str, str]]] = []
        self.failing: list[str] = []
        self.troubles: list[Exception] = []
        """Raised by the next calls."""

    def receive_message(self, **call: Any) -> dict[str, Any]:
        if self.troubles:
            raise self.troubles.pop(0)
        self.received.append(call)
        found = list(self.messages.items())[:10]
        return {"Messages": [{"ReceiptHandle": handle, "Body": body} for handle, body in found]} if found else {}

    def delete_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:
        if self.troubles:
            raise self.troubles.pop(0)
        assert QueueUrl == URL
        assert 1 <= len(Entries) <= 10
        assert len({entry["Id"] for entry in Entries}) == len(Entries)
        self.batches.append(Entries)
        for entry in Entries:
            if entry["ReceiptHandle"] not in self.failing:
                self.messages.pop(entry["ReceiptHandle"], None)
        failed = [{"Id": entry["Id"]} for entry in Entries if entry["ReceiptHandle"] in self.failing]
        return {"Failed": failed} if failed else {}


def listening(queue: Queue, wait: Callable[[float], object] = print) -> Replies:
    return Replies(URL, sqs=cast("SQSClient", queue), wait=wait)


@pytest.mark.parametrize("body", [raw(ONE, TWO), enveloped(ONE, TWO)])
def test_messages_are_read_raw_and_in_the_envelope_of_sns(body: str) -> None:
    assert listening(Queue(body)).poll(0) == [ONE, TWO]


def test_poll_waits_as_long_as_it_is_told() -> None:
    queue = Queue()
    assert listening(queue).poll(3) == []
    assert queue.received == [{"QueueUrl": URL, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 3}]
    assert queue.batches == []


def test_messages_are_deleted_in_batches_after_they_have_been_handed_over() -> None:
    queue = Queue(*[raw(Reply(str(number), "accepted")) for number in range(12)])
    replies = listening(queue)
    assert len(replies.poll(0)) == 10
    assert len(queue.messages) == 12
    assert len(replies.poll(0)) == 2
    assert len(queue.messages) == 2
    replies.close()
    assert queue.messages == {}
    assert [len(batch) for batch in queue.batches] == [10, 2]


def test_repeats_are_dropped() -> None:
    queue = Queue(raw(ONE), raw(ONE, TWO))
    queue.failing = ["handle-0"]
    replies = listening(queue)
    assert replies.poll(0) == [ONE, TWO]
    assert replies.poll(0) == []
    assert replies.repeats == 2


def test_what_becomes_of_a_quarantined_request_later_is_no_repeat() -> None:
    quarantined, accepted = Reply("1", "quarantined", error="unknown command"), Reply("1", "accepted")
    queue = Queue(*map(raw, (quarantined, quarantined, accepted, quarantined, accepted)))
    assert listening(queue).poll(0) == [quarantined, accepted]


def test_a_reader_who_knows_what_it_awaits_gets_the_reply_to_an_id_that_was_sent_again() -> None:
    replies = Replies.with_repeats(URL, cast("SQSClient", Queue(raw(ONE), raw(ONE))))
    assert replies.poll() == [ONE, ONE]
    assert replies.repeats == 0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.replies.replies.REMEMBERED", 2)
    queue = Queue(*[raw(Reply(name, "accepted")) for name in "abca"])
    assert [reply.id for reply in listening(queue).poll(0)] == ["a", "b", "c", "a"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "hello",
        "[]",
        '{"v":1}',
        json.dumps({"Type": "Notification", "Message": "hello"}),
        json.dumps({"Type": "Notification", "Message": {"v": 1}}),
        json.dumps({"Type": "SubscriptionConfirmation", "Message": raw(ONE)}),
        '{"v":1,"client":"alice","replies":[{"id":"1","status":"unheard of"}]}',
    ],
)
def test_a_malformed_message_is_counted_and_deleted(body: str, caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue(body, raw(ONE))
    with caplog.at_level(logging.WARNING, "tidemill"), listening(queue) as replies:
        assert replies.poll(0) == [ONE]
        assert replies.malformed == 1
    assert queue.messages == {}
    assert "dropped" in caplog.text


def test_a_failed_deletion_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue(raw(ONE))
    queue.failing = ["handle-0"]
    with caplog.at_level(logging.WARNING, "tidemill"), listening(queue) as replies:
        replies.poll(0)
    assert "1 messages" in caplog.text


def test_it_can_be_iterated() -> None:
    queue = Queue(raw(ONE), enveloped(TWO))
    with listening(queue) as replies:
        found = iter(replies)
        assert [next(found), next(found)] == [ONE, TWO]
    assert queue.messages == {}


def test_an_iteration_outlasts_an_hour_without_answers_and_says_so_twice(caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue(raw(ONE))
    queue.troubles = [EndpointConnectionError(endpoint_url=URL) for _ in range(100)]
    waits: list[float] = []
    with listening(queue, waits.append) as replies:
        assert next(iter(replies)) == ONE
    assert len(waits) == 100
    assert 0.5 <= waits[0] <= 1.0
    assert 30.0 <= min(waits[10:]) <= max(waits) <= 60.0
    first, last = (record.getMessage() for record in caplog.records)
    assert first.startswith("cannot hear replies: EndpointConnectionError: Could not connect")
    assert last.startswith("replies are heard again: 100 tries failed in ")


def test_an_iteration_ends_where_asking_again_is_in_vain() -> None:
    queue = Queue(raw(ONE))
    queue.troubles = [MISSING]
    with listening(queue) as replies, pytest.raises(ClientError, match="NonExistentQueue"):
        next(iter(replies))


def test_the_end_says_how_many_messages_come_again_and_the_blocks_own_error_is_seen(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = Queue(raw(ONE), raw(TWO))
    with pytest.raises(ZeroDivisionError), listening(queue) as replies:  # noqa: PT012 - a block, and what ends it
        assert replies.poll(0) == [ONE, TWO]
        queue.troubles = [EndpointConnectionError(endpoint_url=URL)]
        raise ZeroDivisionError
    assert "2 messages stay on the replies queue and come again: EndpointConnectionError" in caplog.text
    with listening(queue) as replies:
        assert replies.poll(0) == [ONE, TWO]
        queue.troubles = [MISSING]
    assert caplog.text.count("2 messages stay on the replies queue") == 2


def test_deleting_that_fails_for_an_hour_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue(raw(ONE))
    queue.failing = ["handle-0"]
    with listening(queue) as replies:
        for _ in range(100):
            replies.poll(0)
        queue.failing = []
        replies.poll(0)
    first, last = (record.getMessage() for record in caplog.records)
    assert first.startswith("1 messages on the replies queue could not be deleted")
    assert last.startswith("messages on the replies queue are deleted again: 99 tries failed in ")


def test_what_has_not_been_handed_over_stays_on_the_queue() -> None:
    queue = Queue(raw(ONE, TWO))
    with listening(queue) as replies:
        assert next(iter(replies)) == ONE
        assert list(queue.messages) == ["handle-0"]
    assert list(queue.messages) == ["handle-0"]


def test_an_interrupted_iteration_goes_on() -> None:
    queue = Queue(raw(ONE, TWO))
    with listening(queue) as replies:
        assert next(iter(replies)) == ONE
        assert next(iter(replies)) == TWO
    assert queue.messages == {}


def test_the_calls_are_what_botocore_takes_and_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    sqs = boto3.client("sqs", region_name="eu-west-1")
    with Stubber(sqs) as stubber, Replies(URL, sqs=sqs) as replies:
        stubber.add_response("receive_message", {"Messages": [{"ReceiptHandle": "h", "Body": raw(ONE)}]})
        stubber.add_response(
            "delete_message_batch",
            {"Successful": [{"Id": "0"}], "Failed": []},
            {"QueueUrl": URL, "Entries": [{"Id": "0", "ReceiptHandle": "h"}]},
        )
        assert replies.poll(0) == [ONE]
        replies.close()
        stubber.assert_no_pending_responses()
    sqs.close()


def test_its_own_client_goes_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:4566")
    with Replies(URL) as replies:
        assert replies._queue._sqs.meta.endpoint_url == "http://localhost:4566"
