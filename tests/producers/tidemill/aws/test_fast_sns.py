"""The quick SNS client against the usual one: the same form goes out, the same answers and errors come back."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias
from urllib.parse import quote_plus

import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as some

from tidemill.aws.fast_sns import ENTRIES, form, quoted, use_fast_sns
from tidemill.contract.request import Reply, ReplyMessage
from tidemill_consumers.adapters.replies import Replies
from tidemill_consumers.core.batch import Position, Receipt
from tidemill_local.clients import EmulatorSession

CONFIG = Config(parameter_validation=False, retries={"total_max_attempts": 1})
TOPIC = "arn:aws:sns:us-east-1:000000000000:replies"

Heard: TypeAlias = Callable[[], list[ReplyMessage]]
Both: TypeAlias = Callable[..., tuple[list[Any], list[Any]]]
"""Has both clients make a call that gets this answer: the bodies that they send, and what they make of the answer."""


class Body:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    session = EmulatorSession("http://localhost:1", "key", "secret")
    clients: list[Any] = [session.client("sns", config=CONFIG), use_fast_sns(session.client("sns", config=CONFIG))]
    sent: list[Any] = []
    answers: list[tuple[int, str]] = []

    def send(request: Any, **_: Any) -> AWSResponse:
        sent.append(request.body if isinstance(request.body, bytes) else request.body.encode())
        status, answer = answers[-1]
        headers: Any = {"Content-Type": "text/xml"}
        return AWSResponse(request.url, status, headers, Body(answer.encode()))

    def make(answer: str, status: int = 200, **params: Any) -> tuple[list[Any], list[Any]]:
        sent.clear()
        answers.append((status, answer))
        return [said(client, params) for client in clients], sent[:]

    for client in clients:
        client.meta.events.register("before-send.sns", send)
    yield make
    for client in clients:
        client.close()


def said(client: Any, params: dict[str, Any]) -> Any:
    given_before = repr(params)
    try:
        return client.publish_batch(**params)
    except (ClientError, UnicodeEncodeError) as error:
        return repr(error), getattr(error, "response", None)
    except Exception as error:
        return type(error)
    finally:
        assert repr(params) == given_before


def entry(message: str, client: str = "ann", entry_id: str = "0", name: str = "client") -> dict[str, Any]:
    attributes = {name: {"DataType": "String", "StringValue": client}}
    return {"Id": entry_id, "Message": message, "MessageAttributes": attributes}


# ── What goes out ────────────────────────────────────────────────────────────────────────────────────────────

GOOD = (
    '<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult><Failed/><Successful>'
    "<member><MessageId>567910cd-659e-55d4</MessageId><Id>0</Id></member></Successful></PublishBatchResult>"
    "<ResponseMetadata><RequestId>d74b8436-ae13</RequestId></ResponseMetadata></PublishBatchResponse>"
)
texts = some.text(max_size=30) | some.text(some.characters(min_codepoint=32, max_codepoint=126), max_size=30)


@given(some.lists(some.builds(entry, texts, texts, texts, texts), min_size=1, max_size=10), texts)
def test_the_forms_are_equal_to_the_byte(both: Both, entries: list[dict[str, Any]], topic: str) -> None:
    _, (usual, quick) = both(GOOD, TopicArn=topic, PublishBatchRequestEntries=entries)
    assert quick == usual


@given(texts)
def test_texts_are_quoted_as_the_standard_library_quotes_them(text: str) -> None:
    if text.replace("\n", "").isprintable():
        assert quoted(text) == quote_plus(text)


def test_every_sign_of_ascii_is_quoted() -> None:
    signs = "".join(map(chr, range(32, 127))) + "\n% +"
    assert quoted(signs) == quote_plus(signs)


@pytest.mark.parametrize(
    "text", ["", "plain", '{"v":1,"client":"b\u00f6b","replies":[]}', "100 % of a+b", "\U0001f30a"]
)
def test_usual_calls_are_quick(text: str) -> None:
    assert form({"TopicArn": TOPIC, ENTRIES: [entry(text)] * 10}) is not None


UNUSUAL: list[dict[str, Any]] = [
    {"TopicArn": TOPIC, ENTRIES: []},
    {"TopicArn": TOPIC, ENTRIES: [entry("two\nlines")]},
    {"TopicArn": TOPIC, ENTRIES: [entry("a\x07bell")]},
    {"TopicArn": TOPIC, ENTRIES: [{"Id": "0", "Message": "bare"}]},
    {"TopicArn": TOPIC, ENTRIES: [entry("a") | {"Subject": "s"}]},
    {"TopicArn": TOPIC, ENTRIES: [entry("a") | {"MessageAttributes": {}}]},
    {"TopicArn": TOPIC, ENTRIES: [dict(reversed(entry("a").items()))]},
    {
        "TopicArn": TOPIC,
        ENTRIES: [entry("a") | {"MessageAttributes": {"n": {"StringValue": "1", "DataType": "Number"}}}],
    },
    {
        "TopicArn": TOPIC,
        ENTRIES: [entry("a") | {"MessageAttributes": {"n": {"DataType": "Binary", "BinaryValue": b"x"}}}],
    },
    {
        "TopicArn": TOPIC,
        ENTRIES: [entry("a") | {"MessageAttributes": {n: {"DataType": "String", "StringValue": n} for n in "ab"}}],
    },
    {ENTRIES: [entry("a")], "TargetArn": TOPIC},
    {"TopicArn": TOPIC, ENTRIES: [entry("a")], "More": "x"},
]


@pytest.mark.parametrize("params", UNUSUAL, ids=str)
def test_unusual_calls_are_left_to_botocore(both: Both, params: dict[str, Any]) -> None:
    assert form(params) is None
    heard, sent = both(GOOD, **params)
    assert heard[0] == heard[1]
    assert sent == [] or sent[0] == sent[1]


# ── What comes back ──────────────────────────────────────────────────────────────────────────────────────────

SECOND = "<member><Id>1</Id><MessageId>2</MessageId></member>"
FAILED = (
    "<Failed><member><Id>1</Id><Code>InternalError</Code><Message>a &amp; b</Message><SenderFault>false</SenderFault>"
    "</member></Failed>"
)
ANSWERS = [
    GOOD,
    GOOD.replace("><", ">\n  <"),
    '<?xml version="1.0"?>' + GOOD,
    GOOD.replace("http:", "https:"),
    GOOD.replace("<Failed/>", ""),
    GOOD.replace("<Failed/>", "<Failed></Failed>"),
    GOOD.replace("<Failed/>", "").replace("</Successful>", "</Successful><Failed/>"),
    GOOD.replace("</Successful>", SECOND + "</Successful>"),
    GOOD.replace("<Failed/>", FAILED),
    GOOD.replace("</Id>", "</Id><SequenceNumber>7</SequenceNumber>"),
    GOOD.replace("<Id>0</Id>", "<Id>&lt;0&gt;</Id>"),
    GOOD.replace("<Id>0</Id>", "<Id>\u00e9</Id>"),
    GOOD.replace("<Id>0</Id>", ""),
    GOOD.replace("<Id>0</Id>", "<Id>0</Id><New>7</New>"),
    GOOD.replace("<Successful>", "<Successful/><!--").replace("</Successful>", "-->"),
    GOOD.replace("<RequestId>d74b8436-ae13</RequestId>", ""),
    "",
    GOOD[:-5],
    "<PublishBatchResponse/>",
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_are_read_as_botocore_reads_them(both: Both, answer: str) -> None:
    (usual, quick), _ = both(answer, TopicArn=TOPIC, PublishBatchRequestEntries=[entry("a"), entry("b")])
    assert quick == usual


pieces = some.sampled_from(
    ["<", ">", "/", "Id", "member", "Failed", "Successful", "&amp;", " ", "0", "<Failed/>", SECOND]
)


@given(some.lists(some.tuples(some.integers(0, len(GOOD)), some.integers(0, 40), pieces), max_size=3))
def test_damaged_answers_too(both: Both, damages: list[tuple[int, int, str]]) -> None:
    answer = GOOD
    for place, length, piece in damages:
        answer = answer[:place] + piece + answer[place + length :]
    (usual, quick), _ = both(answer, TopicArn=TOPIC, PublishBatchRequestEntries=[entry("a")])
    assert quick == usual


@pytest.mark.parametrize("status", [400, 403, 503])
def test_errors_are_raised_as_botocore_raises_them(both: Both, status: int) -> None:
    answer = (
        '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>'
        "<Code>AuthorizationError</Code><Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    )
    (usual, quick), _ = both(answer, status, TopicArn=TOPIC, PublishBatchRequestEntries=[entry("a")])
    assert quick == usual
    assert "AuthorizationError" in quick[0]


def test_an_error_with_the_body_of_a_success_is_an_error(both: Both) -> None:
    (usual, quick), _ = both(GOOD, 500, TopicArn=TOPIC, PublishBatchRequestEntries=[entry("a")])
    assert quick == usual
    assert quick[0].startswith("ClientError")


def test_replies_arrive_on_the_platform(session: EmulatorSession, topic: str, heard: Heard) -> None:
    sns = use_fast_sns(session.client("sns", config=CONFIG))
    receipts = [
        Receipt(f"client \u00e9{n % 12}", Reply(str(n), "rejected", error="50 % + a & b"), Position(n, 0))
        for n in range(30)
    ]
    assert Replies(sns, topic).send(receipts) == []
    messages = heard()
    assert {message.client for message in messages} == {receipt.client for receipt in receipts}
    assert {reply.error for message in messages for reply in message.replies} == {"50 % + a & b"}
    sns.close()
