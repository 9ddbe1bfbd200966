"""State that Locust's users of one process share: the stack's names, clients, the workload and the answers.

Room: load, optional: imported by locustfile.py alone. Talks to the stack by public AWS APIs.
Tests: tests/e2e/test_locust.py.
"""

from __future__ import annotations

import logging
import sys
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from itertools import count, islice
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from tidemill import Producer, Replies, Request, StillPending
from tidemill.aws.region import make_client, region_of_environment
from tidemill.errors import GivenUp, Misconfigured
from tidemill.replies.queue import reply_queue
from tidemill.replies.reader import ReplyReader
from tidemill_load.direct_endpoint import DirectEndpoint
from tidemill_load.workloads.scheduled_request import ScheduledRequest
from tidemill_load.workloads.workload import generate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from locust.env import Environment

    from tidemill import Reply

DIRECT_URL: Final = "DirectUrl"
"""The stack's output that says where its HTTP API is, if it has one."""

ENDLESS: Final = 10**9
"""Requests of the workload: more than a run sends."""

CONNECTIONS: Final = 200
"""To Kinesis at a time: users that put at once."""

FLUSH_SECONDS: Final = 20.0
"""Longest wait at the end for what the producer still has."""

_log = logging.getLogger("tidemill.locust")


class NoAnswer(Exception):
    """A request that was not answered with an outcome of its rule."""


def tell(environment: Environment, kind: str, name: str, since: float, failure: Exception | None) -> None:
    """One event for Locust's statistics: what began at `since` (of perf_counter) ends now."""
    environment.events.request.fire(
        request_type=kind,
        name=name,
        response_time=(time.perf_counter() - since) * 1000,
        response_length=0,
        context={},
        exception=failure,
    )


class Answers:
    """Hears the replies to this process's requests, and tells Locust how long each took.

    Args:
        environment: Locust's.
        topic_arn: the topic of replies.
        clients: how the names of this run's clients begin, so that others' replies stay away.
    """

    def __init__(self, environment: Environment, topic_arn: str, clients: str) -> None:
        self._environment = environment
        session: Any = boto3.Session(region_name=region_of_environment())
        self._open = ExitStack()
        queue = self._open.enter_context(
            reply_queue(topic_arn, {"prefix": clients}, client_of=session.client, name="tidemill-locust")
        )
        self._expected: dict[str, tuple[str, float]] = {}
        self._reader = ReplyReader(Replies(queue, sqs=session.client("sqs")), self._take)
        self._reader.start()

    def expect(self, way: str, ids: Iterable[str]) -> None:
        """From now on: a reply may be here before the call that sent its request has returned."""
        now = time.perf_counter()
        self._expected.update((one, (way, now)) for one in ids)

    def forget(self, ids: Iterable[str]) -> None:
        """Nobody knows any more whether these were sent."""
        for one in ids:
            self._expected.pop(one, None)

    def failed(self, refused: Mapping[str, str]) -> None:
        """These are not on the stream: id to error code."""
        for one, code in refused.items():
            self._tell(one, NoAnswer(f"not on the stream: {code}"))

    def finish(self, patience: float) -> None:
        """Wait for the answers under way, report those that do not come, and leave nothing behind."""
        deadline = time.perf_counter() + patience
        while self._expected and time.perf_counter() < deadline:
            time.sleep(0.1)
        self._reader.close()
        for one in list(self._expected):
            self._tell(one, NoAnswer(f"none {patience:g} s after the last request"))
        self._open.close()

    def _take(self, replies: list[Reply]) -> None:
        for reply in replies:
            self._tell(reply.id, NoAnswer("quarantined") if reply.status == "quarantined" else None)

    def _tell(self, request_id: str, failure: Exception | None) -> None:
        if expected := self._expected.pop(request_id, None):
            way, sent = expected
            tell(self._environment, "reply", way, sent, failure)


class Pipe:
    """What all users of one process share: the stack's names, the clients, the workload and the answers."""

    def __init__(self, environment: Environment) -> None:
        options = environment.parsed_options or Namespace()
        self.environment = environment
        self.batch: int = options.batch
        self.run = f"locust-{uuid4().hex[:8]}"
        """Before each client's and each content's name, so that runs do not meet in the table."""
        self.outputs = _outputs(options.stack)
        self.stream = self.outputs["StreamName"]
        self._session: Any = boto3.Session(region_name=region_of_environment())
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        self._credentials = credentials
        self.kinesis = self._session.client(
            "kinesis",
            config=Config(max_pool_connections=CONNECTIONS, retries={"mode": "standard", "total_max_attempts": 1}),
        )
        self.answers: Answers | None = None
        self._patience: float = options.answers
        self._workloads = defaultdict[str, Iterator[ScheduledRequest]](lambda: generate(ENDLESS, options.seed))
        self._numbers = count(1)

    @cached_property
    def producer(self) -> Producer:
        """The SDK's producer."""
        return Producer(self.stream)

    def start(self) -> None:
        """Listen, unless nobody wants to."""
        if self._patience:
            self.answers = Answers(self.environment, self.outputs["RepliesTopicArn"], self.run)

    def finish(self) -> None:
        """Send what is left and hear what is still to come."""
        if "producer" in vars(self):
            try:
                self.producer.close(FLUSH_SECONDS)
            except (GivenUp, StillPending) as error:
                _log.warning("the producer ended with requests that are not on the stream: %s", error)
        if self.answers:
            self.answers.finish(self._patience)

    def new_client(self) -> str:
        """A name for one more user. What one client is answered in a batch comes as one message."""
        return f"{self.run}/{next(self._numbers)}"

    def requests(self, way: str, how_many: int, client: str) -> list[Request]:
        """The next of the way's workload, as one client's. Their times are passed over: users set the pace.

        Each way has entities of its own, for those of a key that comes by two ways are in order within each only.
        """
        return [
            Request(
                id=uuid4().hex,
                cmd=one.cmd,
                # The address is the key of a user, and stays what the rule wants.
                key=one.key if one.cmd == "user.create" else f"{one.key}/{self.run}/{way}",
                client=client,
                data=one.data,
            )
            for one in islice(self._workloads[way], how_many)
        ]

    @cached_property
    def direct(self) -> DirectEndpoint:
        """Where a user who is Direct posts."""
        return DirectEndpoint(self.outputs[DIRECT_URL], self._credentials, self._session.region_name)

    @contextmanager
    def expecting(self, way: str, requests: Sequence[Request]) -> Iterator[dict[str, str]]:
        """Replies to these are expected, but for those whose error code the block enters in the dict it is given.

        A block that does not get to its end, for its user is stopped, leaves none expected.
        """
        if self.answers is None:
            yield {}
            return
        ids = [request.id for request in requests]
        refused: dict[str, str] = {}
        self.answers.expect(way, ids)
        try:
            yield refused
        except BaseException:
            self.answers.forget(ids)
            raise
        self.answers.failed(refused)


def _outputs(stack: str) -> Mapping[str, str]:
    """The outputs of the stack; ends the process with a sentence where there is none."""
    try:
        described = make_client("cloudformation", "").describe_stacks(StackName=stack)["Stacks"]
    except (BotoCoreError, ClientError, Misconfigured) as error:
        sys.exit(f"no stack {stack!r} answers ({error}); run `tidemill up` and export what it prints, or name --stack")
    return {one["OutputKey"]: one["OutputValue"] for one in described[0].get("Outputs", [])}
