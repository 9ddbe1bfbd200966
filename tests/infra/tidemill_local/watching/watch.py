"""An operator who looks at the alarms of a running platform, and clients who send requests, photos and GETs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from tests.e2e.test_photos import Thumbnails, picture
from tests.signing_in import SignedIn
from tidemill.contract.attempts import marked
from tidemill.contract.places import photo_name
from tidemill.contract.request import Request, encode
from tidemill_local.clients import ROOT_KEY
from tidemill_local.platform import Platform
from tidemill_local.watching.alarm import metric
from tidemill_local.watching.alarms import Alarms

START = 1_764_000_000.0
"""A whole number of five minutes."""

MINUTE = 60.0
LONGEST_WAIT = 60.0
"""Seconds after which something is taken not to come."""

ROOT = SignedIn("", ROOT_KEY, ROOT_KEY, "")


class Watch:
    """An operator, whose every look at the alarms is at `now`, and whoever else is at work."""

    def __init__(self, platform: Platform) -> None:
        self.alarms: Alarms = platform.alarms()
        self.alarms.states = dict.fromkeys(self.alarms.states, "OK")  # before that, the topic is told of each
        self.now = START
        self.platform = platform
        self.client = platform.emulator.client
        self.outputs = platform.outputs
        self._sent = 0

    @property
    def function(self) -> str:
        return self.outputs["ApplyFunctionName"]

    def of(self, name: str, namespace: str = "Tidemill", **dimensions: str) -> float:
        """The sum of a metric so far, of the apply function by default."""
        wanted = metric(namespace, name, **(dimensions or {"FunctionName": self.function}))
        return sum(value for _, value in self.alarms.points.of(wanted))

    # ── What others do ───────────────────────────────────────────────────────────────────────────────────────

    def put(
        self,
        cmd: str = "count",
        key: str | None = None,
        client: str | None = None,
        mark: int | None = None,
        **data: str,
    ) -> str:
        """Put a request on the stream, of a key of its own by default; the key."""
        self._sent += 1
        name = f"{time.monotonic_ns()}"
        key = key or name
        one = Request(id=name, cmd=cmd, key=key, client=client, writer="w", counter=self._sent, data=dict(data))
        record = encode(one) if mark is None else marked(encode(one), mark)
        self.client("kinesis").put_record(StreamName=self.outputs["StreamName"], Data=record, PartitionKey=key)
        return key

    def upload(self, side: int = 80) -> str:
        """Upload a photo of so many pixels' width; its key."""
        key = f"content/{time.monotonic_ns()}"
        self.client("s3").put_object(
            Bucket=self.outputs["ContentBucketName"], Key=photo_name("ada", key), Body=picture("red", side)
        )
        return key

    def ask(self) -> None:
        """Ask for a thumbnail."""
        Thumbnails(self.outputs["ThumbnailsUrl"], ROOT).get("content/none/512.webp")

    def has(self, key: str) -> bool:
        """Whether something was applied to a key."""
        wanted: Any = {"TableName": self.outputs["TableName"], "Key": {"pk": {"S": key}}}
        return "Item" in self.client("dynamodb").get_item(**wanted)

    # ── What the operator sees ───────────────────────────────────────────────────────────────────────────────

    def look(self, minutes: float = 0) -> set[str]:
        """The alarms that are on, some minutes later."""
        self.now += minutes * MINUTE
        self.alarms.look(self.now)
        return self.alarms.on

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Look, within this minute, until something holds."""
        deadline = time.monotonic() + LONGEST_WAIT
        while not holds():
            assert time.monotonic() < deadline, f"{what}: {self.alarms.states}"
            time.sleep(0.1)  # a look takes a quarter of that, from what it waits for
            self.alarms.look(self.now)

    def until_on(self, *names: str) -> None:
        """Look, within this minute, until these alarms are on and no other."""
        self.until(lambda: self.alarms.on == set(names), f"{names} are not on alone")

    def rises(self, act: Callable[[], object], name: str, namespace: str = "Tidemill", **dimensions: str) -> None:
        """Do something, and look until the metric has risen."""
        before = self.of(name, namespace, **dimensions)
        act()
        self.until(lambda: self.of(name, namespace, **dimensions) > before, f"{name} does not rise")

    def rising(self, count: int, act: Callable[[], object], name: str, namespace: str = "Tidemill") -> None:
        """Each minute, do something until the metric has risen."""
        for minute in range(count):
            self.now += MINUTE * bool(minute)
            self.rises(act, name, namespace)

    def applied(self) -> None:
        """Put a request, and look until it was applied."""
        self.rises(self.put, "Requests")

    def is_through(self) -> None:
        """Wait until all that was put is done."""
        key = self.put()
        self.until(lambda: self.has(key), "nothing is applied")
        self.until(lambda: not self._waiting(), "something is never done")

    def _waiting(self) -> int:
        return sum(one.waiting for source in self.platform.event_sources for one in source.shards)


# ── Faults ───────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def denied(watch: Watch, function: str, statement: str) -> Iterator[None]:
    """A function, by its output, whose role's policy has lost a statement."""
    iam, functions = watch.client("iam"), watch.client("lambda")
    configuration = functions.get_function_configuration(FunctionName=watch.outputs[function])
    role = configuration["Role"].rpartition("/")[2]
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    left = [one for one in document["Statement"] if one.get("Sid") != statement]
    assert len(left) < len(document["Statement"])
    policy = {"RoleName": role, "PolicyName": name}
    iam.put_role_policy(**policy, PolicyDocument=json.dumps({**document, "Statement": left}))
    try:
        yield
    finally:
        iam.put_role_policy(**policy, PolicyDocument=json.dumps(document))


@contextmanager
def reserved(watch: Watch, function: str, most: int) -> Iterator[None]:
    """A function, by its output, with a reserved concurrency, and afterwards with that of before."""
    functions, name = watch.client("lambda"), watch.outputs[function]
    before = functions.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=most)
    try:
        yield
    finally:
        if before is None:
            functions.delete_function_concurrency(FunctionName=name)
        else:
            functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=before)


@contextmanager
def without(watch: Watch, bucket: str) -> Iterator[None]:
    """A bucket, by its output, that is gone."""
    s3, name = watch.client("s3"), watch.outputs[bucket]
    remove(s3, name)
    try:
        yield
    finally:
        s3.create_bucket(Bucket=name)


def remove(s3: Any, bucket: str) -> None:
    """Delete a bucket that something may be writing to."""
    deadline = time.monotonic() + LONGEST_WAIT
    while True:
        listed = s3.list_object_versions(Bucket=bucket)
        for one in [*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())]:
            s3.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])
        try:
            s3.delete_bucket(Bucket=bucket)
        except ClientError:  # it has something again
            assert time.monotonic() < deadline
        else:
            return
