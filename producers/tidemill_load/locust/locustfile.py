"""Tidemill under Locust: a class of users for each way that a request can take.

Room: load, optional: needs `pip install locust`. The command line is Locust's. CloudFormation is asked for the stack's
outputs, so that the same file drives the local platform and AWS:

    tidemill up --parameter DirectEndpoint=on    # and in another shell, with the lines that it prints to export:
    locust -f producers/tidemill_load/locust/locustfile.py --headless -u 10 -t 60s
    locust -f … --headless -u 50 -t 60s Aggregated    # one way only

Away from a checkout, a file with the line `from tidemill_load.locust.locustfile import *` does the same. Without
`--headless` Locust shows its page to the whole network, unless `--web-host 127.0.0.1` says otherwise.

| user | its task, once a second | the task's row | a row for each request's reply |
|---|---|---|---|
| Direct | a request by HTTP, answered at once | POST direct | it is the same |
| Plain | one PutRecords of `--batch` requests, a record each | PutRecords plain | reply plain |
| Aggregated | `--batch` requests by the SDK, until acknowledged | send aggregated | reply aggregated |

Direct needs the stack's parameter DirectEndpoint to be "on"; without it nobody is Direct. A reply's time is from before
its request was sent until it was heard: mostly the batching window. A PutRecords that is answered 200 and has a
FailedRecordCount is a failure, and so is each request that it refused, for nothing here tries again. A quarantined
request is a failure, and one without an answer. "Rejected" is an answer.

What waits: a user, for the rest of its second; `send`, for company (0.1 s) and the acknowledgement; the end of a run,
for the answers under way, `--answers` seconds at most, which should be well above the window. 0 hears no answers. To
hear them a queue is made and subscribed, and removed at the end. With `--stop-timeout 30` the end also waits for tasks;
without it they are cut off, and their requests are counted nowhere.

Tests: tests/e2e/test_locust.py.
"""

from __future__ import annotations

import logging
import sys
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from locust import HttpUser, User, constant_pacing, events, task
from locust.runners import MasterRunner

from tidemill.contract.request import encode
from tidemill.errors import GivenUp
from tidemill_load.locust.pipe import DIRECT_URL, Pipe, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from locust.argument_parser import LocustArgumentParser
    from locust.env import Environment

    from tidemill import Request

MOST: Final = 500
"""Records of a PutRecords call.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
"""

ANSWERED: Final = (200, 208, 409)
"""Statuses of the direct function that are outcomes: accepted, settled before, rejected by its rule."""

_log = logging.getLogger("tidemill.locust")
logging.getLogger("botocore").setLevel(logging.WARNING)  # else it tells where it found every setting


class RefusedInPart(Exception):
    """Some requests of a task are not on the stream, though the call was answered 200."""


@cache
def pipe_of(environment: Environment) -> Pipe:
    """The one pipe of a process and a run."""
    return Pipe(environment)


def add_arguments(parser: LocustArgumentParser) -> None:
    """Options besides Locust's own."""
    parser.add_argument("--stack", default="tidemill", env_var="TIDEMILL_STACK", help="the stack's name")
    batch, answers = "requests of a task of Plain and Aggregated", "longest wait for answers at the end; 0 hears none"
    parser.add_argument("--batch", type=int, default=100, choices=range(1, MOST + 1), metavar=f"1..{MOST}", help=batch)
    parser.add_argument("--answers", type=float, default=60, metavar="SECONDS", help=answers)
    parser.add_argument("--seed", type=int, default=1, help="of the workload")


def find_the_stack(environment: Environment, **_: Any) -> None:
    """Before anybody waits for a run: is it there? Direct is left out where it has no HTTP API."""
    if isinstance(environment.runner, MasterRunner):
        return
    outputs = pipe_of(environment).outputs
    Direct.host = outputs.get(DIRECT_URL)
    if Direct in environment.user_classes and not Direct.host:
        environment.user_classes.remove(Direct)
        _log.warning('the stack has no HTTP API (its parameter DirectEndpoint is not "on"): no user is Direct')
    if not environment.user_classes:
        sys.exit("there is nobody to send anything")


def listen(environment: Environment, **_: Any) -> None:
    """Before the first request."""
    if not isinstance(environment.runner, MasterRunner):
        pipe_of(environment).start()


def hear_the_rest(environment: Environment, **_: Any) -> None:
    """After the last request."""
    if not isinstance(environment.runner, MasterRunner):
        pipe_of(environment).finish()
        pipe_of.cache_clear()


class Direct(HttpUser):
    """One request, one invocation, and the answer at once."""

    wait_time = constant_pacing(1)

    def on_start(self) -> None:
        """Each user is a client of its own."""
        self.name = pipe_of(self.environment).new_client()

    @task
    def post(self) -> None:
        """One request; its row is the answer's."""
        pipe = pipe_of(self.environment)
        body = encode(pipe.requests("direct", 1, self.name)[0])
        url, headers = pipe.direct.address, pipe.direct.headers(body)
        with self.client.post(url, body, name="direct", headers=headers, catch_response=True) as response:
            if response.status_code in ANSWERED:
                response.success()


class _Client(User):
    """Somebody who puts requests on the stream, `--batch` at a time."""

    abstract = True
    wait_time = constant_pacing(1)
    call: str
    way: str

    def on_start(self) -> None:
        """Each user is a client of its own."""
        self.name = pipe_of(self.environment).new_client()

    @task
    def put(self) -> None:
        """One row for the call, and one for each request when its reply is heard."""
        pipe = pipe_of(self.environment)
        requests = pipe.requests(self.way, pipe.batch, self.name)
        begun = time.perf_counter()
        failure: Exception | None = None
        with pipe.expecting(self.way, requests) as refused:
            try:
                refused |= self.send(pipe, requests)
                failure = RefusedInPart(", ".join(sorted(set(refused.values())))) if refused else None
            except (BotoCoreError, ClientError) as error:
                refused |= dict.fromkeys((request.id for request in requests), type(error).__name__)
                failure = error
            tell(self.environment, self.call, self.way, begun, failure)

    def send(self, pipe: Pipe, requests: Sequence[Request]) -> dict[str, str]:
        """Put them; those that are not on the stream, with the error code."""
        raise NotImplementedError


class Plain(_Client):
    """Plain Kinesis: one PutRecords call, each request a record."""

    call, way = "PutRecords", "plain"

    def send(self, pipe: Pipe, requests: Sequence[Request]) -> dict[str, str]:
        """One call, not repeated."""
        answer = pipe.kinesis.put_records(
            StreamName=pipe.stream,
            Records=[{"PartitionKey": request.key or "", "Data": encode(request)} for request in requests],
        )
        results = zip(requests, answer["Records"], strict=True)
        return {request.id: entry["ErrorCode"] for request, entry in results if entry.get("ErrorCode")}


class Aggregated(_Client):
    """The SDK: requests of many users in few records, sent again until they are acknowledged."""

    call, way = "send", "aggregated"

    def send(self, pipe: Pipe, requests: Sequence[Request]) -> dict[str, str]:
        """Send them all, then wait for all."""
        send = pipe.producer.send
        handles = [send(one.cmd, key=one.key or "", data=one.data, client=one.client, id=one.id) for one in requests]
        refused = {}
        for handle in handles:
            try:
                handle.result()
            except GivenUp as error:
                refused[handle.id] = error.code
        return refused


events.init_command_line_parser.add_listener(add_arguments)
events.init.add_listener(find_the_stack)
events.test_start.add_listener(listen)
events.test_stop.add_listener(hear_the_rest)
