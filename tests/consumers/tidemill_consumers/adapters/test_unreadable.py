"""Answers that cannot be read, from whatever stands in the service's place: none of them passes for success."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from tests.answering import FOREIGN, UNREADABLE, http, raw, says, service
from tests.values import places
from tidemill.aws.fast_json import BATCHES, use_msgspec_json
from tidemill.contract.request import Reply, Request, encode
from tidemill_consumers.adapters.devices import Devices
from tidemill_consumers.adapters.emits import Emits
from tidemill_consumers.adapters.entities import Entities, Unloadable
from tidemill_consumers.adapters.quarantine import Quarantine
from tidemill_consumers.adapters.replies import Replies
from tidemill_consumers.core.batch import Arrival, Emitted, Entity, Position, Quarantined, Receipt, Write
from tidemill_consumers.isolation.deliveries import Deliveries
from tidemill_consumers.operations.redrive import Objects, Unreadable, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Clients = Callable[..., Any]

REQUEST = Request(id="i", cmd="c", key="k", client="ann", writer="w", counter=1, data={})
POISON = Quarantined(Arrival("s", Position(7, 0), 0.0, "k", REQUEST, encode(REQUEST)), "unknown command")
READS = (*(name for name in FOREIGN if not name.startswith(("3", "4", "5"))), "302")
"""Those after which a read cannot be told from one that found nothing, if one does not look."""


@pytest.fixture
def client() -> Iterator[Clients]:
    """Makes clients of a service somewhere, that do not retry."""
    made: list[Any] = []

    def make(name: str, url: str, quick: bool = False) -> Any:
        config = Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            parameter_validation=not quick,
            s3={"addressing_style": "path"},
        )
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "eu-west-1"}
        one: Any = boto3.client(name, endpoint_url=url, config=config, **keys)  # type: ignore[call-overload] # by name
        made.append(use_msgspec_json(one, BATCHES) if quick else one)
        return made[-1]

    yield make
    for one in made:
        one.close()


def write(key: str) -> Write:
    return Write(key, 0, Entity(key, 1, {"v": 1}), Position(1, 0), (), (), None)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_delivery_goes_on_whatever_its_note_is_answered(name: str, client: Clients) -> None:
    with service(UNREADABLE[name]) as there:
        deliveries = Deliveries(client("dynamodb", there.url), "deliveries")
        delivery = deliveries.begin("s", 1, 2)
        assert not delivery.is_apart
        deliveries.end(delivery)


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("name", FOREIGN)
def test_entities_are_not_saved(name: str, quick: bool, client: Clients) -> None:
    with service(UNREADABLE[name]) as there:
        entities = Entities(client("dynamodb", there.url, quick), "entities")
        assert entities.save([write("a"), write("b")]) == {"a": None, "b": None}
        assert len(there.calls) == 1


@pytest.mark.parametrize(
    ("responses", "failed"),
    [
        ([{}], {"a", "b"}),
        ([{}, {}, {}], {"a", "b"}),
        ([None, {}], {"a"}),
        ([{}, "saved"], {"b"}),
        ([{"TableName": "t"}, {"Error": {"Code": "ConditionalCheckFailed"}}], {"b"}),
        ("ab", {"a", "b"}),
        (7, {"a", "b"}),
    ],
)
def test_a_statement_without_its_result_is_not_saved(responses: Any, failed: set[str], client: Clients) -> None:
    with service(says({"Responses": responses})) as there:
        entities = Entities(client("dynamodb", there.url, quick=True), "entities")
        assert entities.save([write("a"), write("b")]) == dict.fromkeys(failed)


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("name", READS)
def test_nothing_is_found_in_an_answer_that_cannot_be_read(name: str, quick: bool, client: Clients) -> None:
    with service(UNREADABLE[name], UNREADABLE[name]) as there:
        dynamodb = client("dynamodb", there.url, quick)
        with pytest.raises(Exception, match=r"\S"):
            Entities(dynamodb, "entities").load(["a"])
        with pytest.raises(Exception, match=r"\S"):
            Devices(dynamodb, "devices").read(["ann"])
        assert len(there.calls) == 2


def test_the_table_is_named_whose_answer_cannot_be_read(client: Clients) -> None:
    with service(says({}), says({"Responses": {"entities": 7}})) as there:
        dynamodb = client("dynamodb", there.url, quick=True)
        for _ in range(2):
            with pytest.raises(Unloadable, match="entities: the answer cannot be read"):
                Entities(dynamodb, "entities").load(["a"])


SENT = [
    Receipt("ann", Reply("i", "accepted"), Position(3, 0)),
    Receipt("bob", Reply("j", "accepted"), Position(4, 0)),
]


@pytest.mark.parametrize("name", FOREIGN)
def test_receipts_are_not_sent(name: str, client: Clients) -> None:
    with service(UNREADABLE[name]) as there:
        replies = Replies(client("sns", there.url), "arn:aws:sns:eu-west-1:111122223333:replies")
        assert replies.send(SENT) == places(3, 4)
        assert len(there.calls) == 1


@pytest.mark.parametrize(
    ("page", "unsent"),
    [
        ("", [3, 4]),
        ("<Successful><member><Id>0</Id></member></Successful>", [4]),
        ("<Successful><member><Id>1</Id></member></Successful><Failed><member><Id>0</Id></member></Failed>", [3]),
        ("<Successful><member><Id>0</Id></member><member><Id>1</Id></member></Successful>", []),
        ("<Successful><member><Id>x</Id></member><member><MessageId>1</MessageId></member></Successful>", [3, 4]),
    ],
)
def test_a_message_is_sent_that_sns_names(page: str, unsent: list[int], client: Clients) -> None:
    body = f"<PublishBatchResponse><PublishBatchResult>{page}</PublishBatchResult></PublishBatchResponse>"
    with service(raw(http(body.encode(), kind="text/xml"))) as there:
        replies = Replies(client("sns", there.url), "arn:aws:sns:eu-west-1:111122223333:replies")
        assert replies.send(SENT) == places(*unsent)


@pytest.mark.parametrize("name", FOREIGN)
def test_poison_is_not_stored(name: str, client: Clients) -> None:
    with service(UNREADABLE[name]) as there:
        assert Quarantine(client("s3", there.url), "quarantine").store([POISON]) == (POISON,)
        assert there.calls


def test_poison_is_stored_once_s3_names_its_etag(client: Clients) -> None:
    with service(raw(http(b"", 200, 'ETag: "9bb58f26192e4ba00f01e2e7b136bbd8"'))) as there:
        assert Quarantine(client("s3", there.url), "quarantine").store([POISON]) == ()


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_emitted_is_not_acknowledged(name: str, client: Clients) -> None:
    request = Request(id="e", cmd="c", key="k", writer="emit/k", counter=1, data={})
    with service(usually=UNREADABLE[name]) as there:
        emits = Emits(client("kinesis", there.url), "requests", pause=lambda seconds: None)
        assert emits.send([Emitted("s", Position(9, 0), (request,))]) == places(9)
        (first, *_), (again, *_) = (call["Records"] for call in (there.calls[0], there.calls[-1]))
        assert again == first
        assert first["PartitionKey"].endswith(" tried 0"), "another delivery may have sent it"
        assert len(there.calls) == 6


@pytest.mark.parametrize("name", READS)
def test_the_quarantine_is_not_empty_because_its_list_cannot_be_read(name: str, client: Clients) -> None:
    with service(UNREADABLE[name]) as there, pytest.raises(Exception, match=r"\S"):
        list(Objects(client("s3", there.url), "quarantine").find(Wanted()))


@pytest.mark.parametrize("name", READS)
def test_an_object_stays_whose_copy_nobody_tells_of(name: str, client: Clients) -> None:
    with service(usually=UNREADABLE[name]) as there:
        with pytest.raises(Exception, match=r"\S"):
            Objects(client("s3", there.url), "quarantine").move("quarantine/one")
        assert all(method != "DELETE" for method in there.methods)


def test_what_cannot_be_read_of_s3_is_an_error_of_botocores(client: Clients) -> None:
    copied = raw(http(b"<CopyObjectResult></CopyObjectResult>", kind="text/xml"))
    with service(UNREADABLE["HTML"], copied) as there:
        objects = Objects(client("s3", there.url), "quarantine")
        with pytest.raises(Unreadable, match="is no list of quarantine"):
            list(objects.find(Wanted()))
        with pytest.raises(Unreadable, match="does not say that quarantine/one was copied"):
            objects.move("quarantine/one")
