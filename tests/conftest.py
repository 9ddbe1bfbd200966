"""What holds for all tests, and the emulator that they share; what a test makes in it has a name of its own."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, TypeAlias

import hypothesis
import pytest
from botocore.stub import Stubber

from tidemill.contract.request import ReplyMessage, decode_replies
from tidemill_local.clients import EmulatorSession
from tidemill_local.emulator import Emulator

# How long a machine takes to make examples, or to run one, says nothing about the code.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

# A command that make has started watches make's life, in a thread that would outlive a test that calls it here.
os.environ.pop("MAKELEVEL", None)

Names: TypeAlias = Callable[[str], str]
Clients: TypeAlias = Callable[[str], Any]
Stub: TypeAlias = Callable[[str], tuple[Any, Stubber]]
Heard: TypeAlias = Callable[[], list[ReplyMessage]]
Listen: TypeAlias = Callable[..., Heard]


LONGEST = ("tests/e2e", "tests/docs", "tests/faults", "tests/infra")
"""Folders whose files take longest: begun last, one of them would keep the others waiting at the end."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, each file's tests in their order."""
    ranks = {config.rootpath / folder: rank for rank, folder in enumerate(LONGEST)}
    items.sort(key=lambda item: min((ranks[one] for one in item.path.parents if one in ranks), default=len(ranks)))


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """An emulator that all tests share: leave nothing in it that others could trip over."""
    with Emulator(port=0) as running:
        yield running


@pytest.fixture(scope="session")
def session(emulator: Emulator) -> EmulatorSession:
    return emulator.session("test", "test")


@pytest.fixture(scope="session")
def names() -> Names:
    """Names that no other test has."""
    numbers = count()
    return lambda prefix: f"{prefix}-{next(numbers)}"


@pytest.fixture
def becomes() -> Callable[[Callable[[], bool]], bool]:
    """Whether something comes true in half a minute, which a busy machine may need, for what no event tells of."""

    def wait(condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + 30
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    return wait


@pytest.fixture
def runs() -> Callable[[int], bool]:
    """Whether a process runs; one that has ended and is not yet waited for does not."""

    def look(pid: int) -> bool:
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return state.stdout.strip()[:1] not in ("", "Z")

    return look


@pytest.fixture
def make_table(emulator: Emulator, names: Names) -> Names:
    """Makes a table of items by `pk`; its name, which begins as is said."""

    def make(prefix: str) -> str:
        name = names(prefix)
        emulator.client("dynamodb").create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        return name

    return make


@pytest.fixture
def forgotten_table(emulator: Emulator, names: Names) -> str:
    """The name of a table of forgotten writers."""
    name = names("forgotten")
    emulator.client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


@pytest.fixture
def table(make_table: Names) -> str:
    return make_table("entities")


@pytest.fixture
def bucket(emulator: Emulator, names: Names) -> str:
    name = names("quarantine")
    emulator.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def content_bucket(emulator: Emulator, names: Names) -> str:
    """The name of a bucket that keeps versions, as the template's."""
    name, s3 = names("content"), emulator.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def stream(emulator: Emulator, names: Names) -> str:
    name = names("requests")
    emulator.client("kinesis").create_stream(StreamName=name, ShardCount=1)
    return name


@pytest.fixture
def topic(emulator: Emulator, names: Names) -> str:
    arn: str = emulator.client("sns").create_topic(Name=names("replies"))["TopicArn"]
    return arn


@pytest.fixture
def listen(emulator: Emulator, names: Names, topic: str) -> Listen:
    """Subscribes to the topic, perhaps with a FilterPolicy; gives what tells the messages since it was last asked."""
    sns, sqs = emulator.client("sns"), emulator.client("sqs")

    def subscribe(**attributes: str) -> Heard:
        queue = sqs.create_queue(QueueName=names("heard"))["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        grant = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [grant]})
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
        attributes["RawMessageDelivery"] = "true"
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)

        def heard() -> list[ReplyMessage]:
            # The emulator delivers before it answers the sender, so what is not there does not come.
            found: list[ReplyMessage] = []
            while got := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
                found += [decode_replies(message["Body"]) for message in got]
                for message in got:
                    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return found

        return heard

    return subscribe


@pytest.fixture
def heard(listen: Listen) -> Heard:
    """What the topic sent since this was last asked."""
    return listen()


@pytest.fixture
def new_client(session: EmulatorSession) -> Iterator[Clients]:
    """Makes clients that a test may meddle with."""
    made: list[Any] = []

    def make(service: str) -> Any:
        made.append(session.client(service))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def stub(new_client: Clients) -> Iterator[Stub]:
    """Makes clients with answers of the test's own, for what the emulator never says; each must be asked for."""
    made: list[Stubber] = []

    def make(service: str) -> tuple[Any, Stubber]:
        client = new_client(service)
        made.append(Stubber(client))
        made[-1].activate()
        return client, made[-1]

    yield make
    for stubber in made:
        stubber.assert_no_pending_responses()
