"""ReplyMessage through SNS: as few messages as will do, and what was not sent is told."""

import json
import logging
import re
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import ANY, Stubber

from tests.values import places
from tidemill.contract.request import Reply, ReplyMessage, decode_replies
from tidemill_consumers.adapters.replies import Replies, SnsMessage, calls, messages
from tidemill_consumers.core.batch import Position, Receipt
from tidemill_local.emulator import Emulator

Stub: TypeAlias = Callable[[str], tuple[Any, Stubber]]
Clients: TypeAlias = Callable[[str], Any]
Heard: TypeAlias = Callable[[], list[ReplyMessage]]
Listen: TypeAlias = Callable[..., Heard]

MOST_BYTES = 256 * 1024
"""Of all messages of a call and their attributes: https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html."""

ENTRIES = "PublishBatchRequestEntries"

ARN = "arn:aws:sns:us-east-1:000000000000:replies"


def receipt(n: int, client: str = "ann", size: int = 0) -> Receipt:
    return Receipt(client, Reply(f"i{n}", "accepted", data="x" * size), Position(n, 0))


def read(message: SnsMessage) -> list[str]:
    return [reply.id for reply in decode_replies(message.body).replies]


def billed(message: SnsMessage) -> int:
    """What SNS counts of it: body, attribute name, type and value."""
    return len(message.body.encode()) + len("client") + len("String") + len(message.client.encode())


def test_a_client_hears_of_its_batch_in_one_message(emulator: Emulator, topic: str, heard: Heard) -> None:
    sent = [receipt(1), receipt(2, "bob"), receipt(3), receipt(4, "bob"), receipt(5)]
    assert Replies(emulator.client("sns"), topic).send(sent) == []
    assert sorted(heard(), key=lambda receipts: receipts.client) == [
        ReplyMessage("ann", (sent[0].reply, sent[2].reply, sent[4].reply)),
        ReplyMessage("bob", (sent[1].reply, sent[3].reply)),
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
    assert sorted(Replies(sns, ARN).send(sent)) == places(1, 3, 4)


def test_a_call_that_is_refused_tells_all_its_positions(stub: Stub, caplog: pytest.LogCaptureFixture) -> None:
    sns, answers = stub("sns")
    answers.add_client_error("publish_batch", "Throttled")
    with caplog.at_level(logging.WARNING):
        assert sorted(Replies(sns, ARN).send([receipt(1), receipt(2, "bob"), receipt(3)])) == places(1, 2, 3)
    assert "cannot send 2 messages" in caplog.text


def test_a_call_that_fails_does_not_keep_the_others_back(topic: str, heard: Heard, new_client: Clients) -> None:
    def refuse(params: dict[str, Any], **_: object) -> None:
        if "client-12" in params["body"].values():
            raise EndpointConnectionError(endpoint_url="somewhere")

    sns = new_client("sns")
    sns.meta.events.register("before-call.sns.PublishBatch", refuse)
    sent = [receipt(n, f"client-{n}") for n in range(25)]
    assert Replies(sns, topic).send(sent) == places(*range(10, 20))
    assert len(heard()) == 15


@pytest.mark.parametrize(
    "client",
    [
        *("a\x00b", "\t", "ann\n", "a\x7f", "\x85", "\ufffe", "ann\uffff"),
        pytest.param("\ud800", id="a surrogate"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_client_that_no_attribute_can_name_is_not_answered_and_that_is_counted(stub: Stub, client: str) -> None:
    sns, answers = stub("sns")
    answers.add_response("publish_batch", {"Successful": [{"Id": "0"}]}, {"TopicArn": ARN, ENTRIES: [ANY]})
    replies = Replies(sns, ARN)
    assert replies.send([receipt(1, client), receipt(2, client), receipt(3, "b\u00f6b")]) == []
    assert (replies.sent, replies.failed, replies.given_up) == (1, 0, 2)


def test_whom_sns_can_name_is_answered(emulator: Emulator, topic: str, heard: Heard) -> None:
    clients = ["b\u00f6b", " ", "\N{WATER WAVE}" * 256, "us-east-1:6a4c3", "\U0001fffe", '"\\<&>', "\xa0\ufffd"]
    assert Replies(emulator.client("sns"), topic).send([receipt(n, client) for n, client in enumerate(clients)]) == []
    assert sorted(one.client for one in heard()) == sorted(clients)


def test_what_a_queue_does_not_take_is_written_as_json_can(emulator: Emulator, topic: str, heard: Heard) -> None:
    data = "".join(map(chr, [*range(0x20), 0x7F, 0x85, 0xFFFD, 0xFFFE, 0xFFFF, 0x1FFFE])) + '\\uffff"'
    (message,) = messages([Receipt("ann", Reply("i1", "accepted", data=data), Position(1, 0))])
    allowed = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
    assert allowed.fullmatch(message.body)
    Replies(emulator.client("sns"), topic).send([Receipt("ann", Reply("i1", "accepted", data=data), Position(1, 0))])
    assert [reply.data for one in heard() for reply in one.replies] == [data]


def failure(place: int, code: str, *, sender_fault: bool = True, message: str = "Invalid parameter: Message") -> Any:
    return {"Id": str(place), "Code": code, "SenderFault": sender_fault, "Message": message}


def test_an_entry_that_is_refused_for_what_it_is_is_given_up_and_counted(
    stub: Stub,
) -> None:
    sns, answers = stub("sns")
    refused = [
        failure(0, "InvalidParameter"),
        failure(1, "InvalidParameter", sender_fault=False),
        failure(2, "AuthorizationError"),
        failure(3, "Throttling"),
        failure(4, "KMSAccessDenied"),
        failure(5, "InvalidParameter", message="Invalid parameter: The MessageGroupId parameter is required"),
        failure(6, "InvalidParameterValue"),
    ]
    answers.add_response(
        "publish_batch", {"Successful": [{"Id": "7"}], "Failed": refused}, {"TopicArn": ARN, ENTRIES: ANY}
    )
    sent = [receipt(n, f"client-{n}") for n in range(8)]
    replies = Replies(sns, ARN)
    assert replies.send([*sent, receipt(8, "client-0")]) == places(1, 2, 3, 4, 5)
    assert (replies.sent, replies.failed, replies.given_up) == (1, 5, 3)


class Topic:
    """SNS that refuses a whole call for some clients, by the call's code; what it took."""

    def __init__(self, code: str, *refused: str, message: str = "Invalid parameter: Message Reason: no") -> None:
        self.taken: list[str] = []
        self.calls = 0
        self._refused = refused
        self._error = ClientError({"Error": {"Code": code, "Message": message}}, "PublishBatch")

    def publish_batch(self, TopicArn: str, PublishBatchRequestEntries: list[Any]) -> dict[str, Any]:
        self.calls += 1
        clients = [one["MessageAttributes"]["client"]["StringValue"] for one in PublishBatchRequestEntries]
        if set(self._refused) & set(clients):
            raise self._error
        self.taken += clients
        return {"Successful": [{"Id": one["Id"]} for one in PublishBatchRequestEntries]}


@pytest.mark.parametrize("code", ["InvalidParameter", "ParameterValueInvalid", "ValidationError"])
def test_a_call_that_is_refused_for_one_message_is_split_until_that_is_alone(
    code: str,
) -> None:
    topic: Any = Topic(code, "client-3", "client-17")
    replies = Replies(topic, ARN, map)
    assert replies.send([receipt(n, f"client-{n}") for n in range(25)]) == []
    assert topic.taken == [f"client-{n}" for n in range(25) if n not in (3, 17)]
    assert (replies.sent, replies.given_up) == (23, 2)
    assert topic.calls < 25


def test_what_fails_in_any_part_of_a_split_call_is_told() -> None:
    class Failing(Topic):
        def publish_batch(self, TopicArn: str, PublishBatchRequestEntries: list[Any]) -> dict[str, Any]:
            answer = super().publish_batch(TopicArn, PublishBatchRequestEntries)
            return answer | {"Failed": [failure(0, "InternalError", sender_fault=False)]}

    topic: Any = Failing("InvalidParameter", "client-1")
    # Calls of 0 to 3 and of 1 are refused; of 0, and of 2 and 3 together, the first fails.
    assert Replies(topic, ARN, map).send([receipt(n, f"client-{n}") for n in range(4)]) == places(0, 2)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("NotFound", "Topic does not exist"),
        ("AuthorizationError", "User is not authorized to perform: SNS:Publish"),
        ("ExpiredToken", "The security token included in the request is expired"),
        ("Throttling", "Rate exceeded"),
        ("InvalidParameter", "Invalid parameter: TopicArn"),
        ("KMSDisabled", "disabled"),
    ],
)
def test_what_is_the_operators_to_mend_is_tried_again(code: str, message: str) -> None:
    topic: Any = Topic(code, "client-3", message=message)
    replies = Replies(topic, ARN, map)
    assert replies.send([receipt(n, f"client-{n}") for n in range(12)]) == places(*range(10))
    assert (topic.calls, topic.taken) == (2, ["client-10", "client-11"])
    assert (replies.sent, replies.failed, replies.given_up) == (2, 10, 0)


def test_a_topic_that_is_deleted_is_the_operators_to_mend(emulator: Emulator, topic: str) -> None:
    sns = emulator.client("sns")
    sns.delete_topic(TopicArn=topic)
    assert Replies(sns, topic).send([receipt(1), receipt(2, "bob")]) == places(1, 2)


def test_a_client_is_told_in_the_streams_order() -> None:
    (message,) = messages([receipt(n) for n in (3, 1, 2)])
    assert (read(message), list(message.positions)) == (["i3", "i1", "i2"], places(3, 1, 2))


def test_too_much_for_a_message_is_split() -> None:
    sent = [receipt(n, size=20_000) for n in range(30)]
    found = list(messages([*sent, receipt(99, "bob")]))
    assert [message.client for message in found] == ["ann"] * (len(found) - 1) + ["bob"]
    assert len(found) > 3
    assert all(billed(message) <= MOST_BYTES for message in found)
    assert [one for message in found for one in read(message)] == [f"i{n}" for n in [*range(30), 99]]
    assert [one for message in found for one in message.positions] == places(*range(30), 99)


@pytest.mark.parametrize(("character", "size"), [("x", 1), ("\N{WATER WAVE}", 4), ('"', 2)])
def test_messages_fit_a_call_to_the_last_byte(character: str, size: int) -> None:
    client = character * 256
    for half in range(125_000, 131_000, 100):
        sent = [
            Receipt(client, Reply(f"i{n}", "accepted", data=character * (half // size)), Position(n, 0))
            for n in range(2)
        ]
        found = list(calls(messages(sent)))
        assert all(sum(map(billed, call)) <= MOST_BYTES for call in found)
        assert [name for call in found for message in call for name in read(message)] == ["i0", "i1"]


def test_messages_are_counted_as_they_are_written() -> None:
    sent = [Receipt("ann", Reply(f"i{n}", "accepted", data="\uffff" * 20_000), Position(n, 0)) for n in range(3)]
    assert [len(read(message)) for message in messages(sent)] == [1, 2]


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
