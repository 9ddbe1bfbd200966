"""Receipts through SNS: as few messages as will do, and what was not sent is told."""

import json
import logging
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import ANY, Stubber

from tidemill.request import Receipts, Reply, decode_receipts
from tidemill_consumers.core.batch import Receipt
from tidemill_consumers.shell.replies import Message, Replies, calls, messages
from tidemill_local.emulator import Emulator

Stub: TypeAlias = Callable[[str], tuple[Any, Stubber]]
Clients: TypeAlias = Callable[[str], Any]
Heard: TypeAlias = Callable[[], list[Receipts]]
Listen: TypeAlias = Callable[..., Heard]

MOST_BYTES = 256 * 1024
"""Of all messages of a call and their attributes: https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html."""

ARN = "arn:aws:sns:us-east-1:000000000000:replies"


def receipt(n: int, client: str = "ann", size: int = 0) -> Receipt:
    return Receipt(client, Reply(f"i{n}", "accepted", data="x" * size), n)


def read(message: Message) -> list[str]:
    return [reply.id for reply in decode_receipts(message.body).replies]


def billed(message: Message) -> int:
    """What SNS counts of it: body, attribute name, type and value."""
    return len(message.body.encode()) + len("client") + len("String") + len(message.client.encode())


def test_a_client_hears_of_its_batch_in_one_message(emulator: Emulator, topic: str, heard: Heard) -> None:
    sent = [receipt(1), receipt(2, "bob"), receipt(3), receipt(4, "bob"), receipt(5)]
    assert Replies(emulator.client("sns"), topic).send(sent) == []
    assert sorted(heard(), key=lambda receipts: receipts.client) == [
        Receipts("ann", (sent[0].reply, sent[2].reply, sent[4].reply)),
        Receipts("bob", (sent[1].reply, sent[3].reply)),
    ]


def test_a_client_may_listen_to_its_own_replies_only(emulator: Emulator, topic: str, listen: Listen) -> None:
    heard = listen(FilterPolicy=json.dumps({"client": ["b\u00f6b"]}))
    Replies(emulator.client("sns"), topic).send([receipt(1), receipt(2, "b\u00f6b"), receipt(3, "b")])
    assert [receipts.client for receipts in heard()] == ["b\u00f6b"]


def test_many_clients_hear_all_of_it(emulator: Emulator, topic: str, heard: Heard) -> None:
    sent = [receipt(n, f"client-{n % 45}", size=5_000) for n in range(90)]
    assert Replies(emulator.client("sns"), topic).send(sent) == []
    found = heard()
    assert len(found) == 45
    assert {reply.id for receipts in found for reply in receipts.replies} == {f"i{n}" for n in range(90)}


def test_nothing_to_tell_costs_no_call(stub: Stub) -> None:
    assert Replies(stub("sns")[0], ARN).send([]) == []


def test_a_message_says_whom_it_is_for(stub: Stub) -> None:
    sns, answers = stub("sns")
    answers.add_response(
        "publish_batch",
        {"Successful": [{"Id": "0"}]},
        {
            "TopicArn": ARN,
            "PublishBatchRequestEntries": [
                {
                    "Id": "0",
                    "Message": '{"v":1,"client":"ann","replies":[{"id":"i1","status":"accepted","data":""}]}',
                    "MessageAttributes": {"client": {"DataType": "String", "StringValue": "ann"}},
                }
            ],
        },
    )
    assert Replies(sns, ARN).send([receipt(1)]) == []


def test_what_a_call_could_not_send_of_its_messages_is_told(stub: Stub) -> None:
    sns, answers = stub("sns")
    answers.add_response(
        "publish_batch",
        {
            "Successful": [{"Id": "1"}],
            "Failed": [
                {"Id": "0", "Code": "InternalError", "SenderFault": False},
                {"Id": "2", "Code": "Throttled", "SenderFault": False},
            ],
        },
        {"TopicArn": ARN, "PublishBatchRequestEntries": ANY},
    )
    sent = [receipt(1), receipt(2, "bob"), receipt(3), receipt(4, "cid")]
    assert sorted(Replies(sns, ARN).send(sent)) == [1, 3, 4]


def test_a_call_that_is_refused_tells_all_its_sequences(stub: Stub, caplog: pytest.LogCaptureFixture) -> None:
    sns, answers = stub("sns")
    answers.add_client_error("publish_batch", "Throttled")
    with caplog.at_level(logging.WARNING):
        assert sorted(Replies(sns, ARN).send([receipt(1), receipt(2, "bob"), receipt(3)])) == [1, 2, 3]
    assert "cannot send 2 messages" in caplog.text


def test_a_call_that_fails_does_not_keep_the_others_back(topic: str, heard: Heard, new_client: Clients) -> None:
    def refuse(params: dict[str, Any], **_: object) -> None:
        if "client-12" in params["body"].values():
            raise EndpointConnectionError(endpoint_url="somewhere")

    sns = new_client("sns")
    sns.meta.events.register("before-call.sns.PublishBatch", refuse)
    sent = [receipt(n, f"client-{n}") for n in range(25)]
    assert Replies(sns, topic).send(sent) == list(range(10, 20))
    assert len(heard()) == 15


def test_a_client_is_told_in_the_streams_order() -> None:
    (message,) = messages([receipt(n) for n in (3, 1, 2)])
    assert (read(message), message.sequences) == (["i3", "i1", "i2"], (3, 1, 2))


def test_too_much_for_a_message_is_split() -> None:
    sent = [receipt(n, size=20_000) for n in range(30)]
    found = list(messages([*sent, receipt(99, "bob")]))
    assert [message.client for message in found] == ["ann"] * (len(found) - 1) + ["bob"]
    assert len(found) > 3
    assert all(billed(message) <= MOST_BYTES for message in found)
    assert [one for message in found for one in read(message)] == [f"i{n}" for n in [*range(30), 99]]
    assert [one for message in found for one in message.sequences] == [*range(30), 99]


@pytest.mark.parametrize(("character", "size"), [("x", 1), ("\N{WATER WAVE}", 4), ("\x01", 6)])
def test_messages_fit_a_call_to_the_last_byte(character: str, size: int) -> None:
    client = character * 256
    for half in range(125_000, 131_000, 100):
        sent = [Receipt(client, Reply(f"i{n}", "accepted", data=character * (half // size)), n) for n in range(2)]
        found = list(calls(messages(sent)))
        assert all(sum(map(billed, call)) <= MOST_BYTES for call in found)
        assert [name for call in found for message in call for name in read(message)] == ["i0", "i1"]


def test_a_call_takes_ten_messages() -> None:
    found = list(calls(messages([receipt(n, f"client-{n}") for n in range(23)])))
    assert [len(call) for call in found] == [10, 10, 3]


def test_a_call_takes_256_kib() -> None:
    found = list(calls(messages([receipt(n, f"client-{n}", size=60_000) for n in range(9)])))
    assert [len(call) for call in found] == [4, 4, 1]
    assert all(sum(map(billed, call)) <= MOST_BYTES for call in found)


def test_the_emulator_takes_the_largest_message_and_the_largest_call(
    emulator: Emulator, topic: str, heard: Heard
) -> None:
    sent = [receipt(1, size=250_000), *(receipt(n, f"client-{n}", size=60_000) for n in range(2, 6))]
    assert Replies(emulator.client("sns"), topic).send(sent) == []
    assert len(heard()) == 5
