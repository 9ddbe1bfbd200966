"""The stack that `tidemill smoke` tries: where it is, how long it may take, and what this run has put into it.

Room: command line.
Tests: tests/e2e/test_smoke.py.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import uuid4

from botocore import UNSIGNED
from botocore.config import Config

from tidemill.contract.request import PROBE, Request
from tidemill_cli.commands.smoke.failures import StepFailed
from tidemill_cli.stack import LOCAL_ENDPOINT, NAMED, STACK, Access, NoStack, access, outputs

PREFIX = "smoke/"
"""How the keys, ids, client and command of a smoke test begin."""

BOUNDED = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3})
"""So that a service that does not answer ends a step; 30 s, because a queue is asked for up to 20."""

WINDOW, INTERVAL = "BatchingWindowSeconds", "ArchiveIntervalSeconds"
"""The parameters of the template by which replies and the archive's files may be late."""


@dataclass(frozen=True, slots=True)
class UnderTest:
    """A stack, and one run of the smoke test on it.

    Attributes:
        access: to AWS.
        named: the value of --stack, if it is given.
        outputs: the stack's.
        parameters: the stack's.
        patience: seconds that a reply or a file may take beyond what the stack's parameters say.
        ahead: seconds by which the clock of AWS is ahead of this machine's.
        run: what the keys and ids of this run begin with; also its client.
        begun: when, in seconds since 1970 by the clock of AWS.
        on_stream: the requests that the stream took, by their ids, with their keys.
        keys: the ordering keys of all that was sent.
        put_back: the objects of the quarantine that were put back on the stream.
    """

    access: Access
    named: str | None
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    patience: float
    ahead: float
    run: str = field(default_factory=lambda: f"{PREFIX}{uuid4().hex[:12]}")
    begun: float = 0.0
    on_stream: dict[str, str] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    put_back: set[str] = field(default_factory=set)
    _clients: dict[tuple[str, bool], Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The stack's name."""
        return self.named or STACK

    @property
    def reply_seconds(self) -> float:
        """The longest that a reply may take."""
        return float(self.parameters.get(WINDOW, 300)) + self.patience

    @property
    def archive_seconds(self) -> float:
        """The longest that the archive's file may take."""
        return float(self.parameters.get(INTERVAL, 900)) + self.patience

    def now(self) -> float:
        """Seconds since 1970 by the clock of AWS."""
        return time.time() + self.ahead

    def client(self, service: str, *, signed: bool = True) -> Any:
        """The boto3 client of a service, one for all steps; its calls are bounded in time.

        Args:
            service: its name.
            signed: whether with the operator's keys, or with none.
        """
        which = service, signed
        if which not in self._clients:
            config = BOUNDED if signed else BOUNDED.merge(Config(signature_version=UNSIGNED))
            self._clients[which] = self.access.client(service, config)
        return self._clients[which]

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            client.close()

    def output(self, name: str) -> str:
        """An output of the stack.

        Raises:
            StepFailed: there is none.
        """
        if name not in self.outputs:
            raise StepFailed(f"the stack {self.name!r} has no output {name}")
        return self.outputs[name]

    def request(self, what: str, cmd: str = PROBE) -> Request:
        """A request of this run, of which nothing is sent yet.

        Args:
            what: the end of its key and of its id.
            cmd: its command.
        """
        name = f"{self.run}/{what}"
        self.keys.add(name)
        at = int(self.now() * 1000)
        return Request(id=name, cmd=cmd, key=name, client=self.run, at=at, data={})

    def has_applied(self, key: str) -> bool:
        """Whether the table has the item of a key."""
        item = {"TableName": self.output("TableName"), "Key": {"pk": {"S": key}}}
        answer = self.client("dynamodb").get_item(**item, ConsistentRead=True, ProjectionExpression="pk")
        return "Item" in answer


def under_test(named: str | None, patience: float) -> UnderTest:
    """The stack of that name, or the local platform's.

    Raises:
        NoStack: there is none, or nobody answers.
        Misconfigured: nothing says where AWS is, or who asks.
    """
    where = access(None if named else LOCAL_ENDPOINT)
    try:
        found = outputs(where, named or STACK)
    except NoStack as error:
        remedy = NAMED if named else "start `tidemill up`, or name --stack"
        raise NoStack(f"{error}; {remedy}") from None
    with closing(where.client("cloudformation", BOUNDED)) as cloudformation:
        answer = cloudformation.describe_stacks(StackName=named or STACK)
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in answer["Stacks"][0].get("Parameters", [])}
    ahead = _ahead(answer)
    return UnderTest(where, named, found, parameters, patience, ahead, begun=time.time() + ahead)


def _ahead(answer: Any) -> float:
    """Seconds by which the clock of whoever answered is ahead of this machine's; 0 if it does not say."""
    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        return parsedate_to_datetime(said).timestamp() - time.time() if said else 0.0
    except ValueError:
        return 0.0
