"""Takes a stack down without losing a request: closes the ways in, waits until all is applied and archived, deletes.

Room: deploy, I/O by the modules beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tidemill_deploy.stack.code_bucket import CodeBucket
from tidemill_deploy.stack.draining import Drain, NotDrained
from tidemill_deploy.stack.kept import Kept, kept, to_json
from tidemill_deploy.stack.mapping import Obstacle, obstacle
from tidemill_deploy.stack.removing import Clients, remove
from tidemill_deploy.stack.rollout import DRAINED_BY, Rollout, recorded
from tidemill_deploy.stack.stack import Imported, Say, Stack, StackError, pauses

SETTLING = 60.0
"""Seconds after which a changed policy holds everywhere: "changes that you make in IAM … might not be visible
immediately", https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html."""

RESHARD_SECONDS = 1800.0
"""That the shards may take to be changed."""


@dataclass(frozen=True, slots=True)
class Takedown:
    """A stack that goes.

    Attributes:
        stack: the stack.
        bucket: where the record of what is kept is written.
        template: what the stack's template says.
        clients: boto3's.
        say: gets what is done.
        sleep: waits so many seconds.
    """

    stack: Stack
    bucket: CodeBucket
    template: Mapping[str, Any]
    clients: Clients
    say: Say
    sleep: Callable[[float], None] = time.sleep

    def close(self, settling: float = SETTLING) -> None:
        """Have the stream refuse everybody but the functions and whoever calls this.

        Args:
            settling: seconds to wait until that holds everywhere.

        Raises:
            StackError: the stack has no such parameter, or cannot be changed.
            NotDrained: what came before could not be applied, or the stream's shards are being changed for too long.
                The ways in are as they were.
        """
        if DRAINED_BY not in self.template.get("Parameters", {}):
            raise StackError(
                f"the template of the stack {self.stack.name} has no {DRAINED_BY}: deploy this version first"
            )
        if (found := self._blocked()) and found.stays:
            raise NotDrained(f"what is on the stream would not be applied: {found.text}")
        self._wait_for_reshard()
        self.say("closing the ways in")
        caller = self.clients.client("sts").get_caller_identity()["Arn"]
        rollout = Rollout(self.stack, self.bucket, b"", self.template, {})
        rollout.with_parameter(DRAINED_BY, ",".join(patterns(caller)), lambda _: None)
        self.sleep(settling)

    def drain(self, within: float) -> None:
        """Wait until all that is on the stream is applied and archived.

        Args:
            within: seconds.

        Raises:
            NotDrained: not within the time; the ways in stay closed.
        """
        self.say("waiting until all requests are applied and archived")
        state = self.stack.state()
        outputs = state.outputs if state else {}
        firehose = self.clients.client("firehose")
        Drain(
            self.clients.client("kinesis"),
            self.clients.client("dynamodb"),
            self.clients.client("s3"),
            outputs["StreamName"],
            outputs["TableName"],
            outputs["ArchiveBucketName"],
            archive_prefix(firehose.describe_delivery_stream(DeliveryStreamName=outputs["ArchiveDeliveryStreamName"])),
            within,
            self.say,
            self._blocked,
            sleep=self.sleep,
        ).wait()

    def drain_totals(self, within: float) -> None:
        """Wait until all that the analytics stage has written is applied, if the stack has a stream for that.

        Args:
            within: seconds.

        Raises:
            NotDrained: not within the time.
        """
        state = self.stack.state()
        outputs = state.outputs if state else {}
        if "AggregatedStreamName" not in outputs:
            return
        self.say("waiting until all totals of the analytics stage are applied")
        Drain(
            self.clients.client("kinesis"),
            self.clients.client("dynamodb"),
            self.clients.client("s3"),
            stream=outputs["AggregatedStreamName"],
            table=outputs["TableName"],
            bucket="",  # it is not archived
            prefix="",
            within=within,
            say=self.say,
            sleep=self.sleep,
        ).wait()

    def _blocked(self) -> Obstacle | None:
        """The obstacle that keeps requests from being applied, if it can be told."""
        state = self.stack.state()
        outputs = state.outputs if state else {}
        if "ApplyFunctionName" not in outputs:
            return None
        try:
            return obstacle(self.clients.client("lambda"), outputs["ApplyFunctionName"], outputs["StreamArn"])
        except ClientError:
            return None  # who may not ask waits until the time is up

    def _wait_for_reshard(self) -> None:
        """Wait while the stream's shards are being changed: Kinesis takes no other change of it meanwhile."""
        state = self.stack.state()
        kinesis, stream = self.clients.client("kinesis"), state.outputs["StreamName"] if state else ""
        waited = 0.0
        for pause in pauses():
            status = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamStatus"]
            if status == "ACTIVE":
                return
            if waited > RESHARD_SECONDS:
                raise NotDrained(f"the stream {stream} is still {status}, for its shards are being changed")
            if not waited:
                self.say(f"waiting: the stream is {status}, for its shards are being changed")
            self.sleep(pause)
            waited += pause

    def delete(self, *, with_data: bool) -> tuple[Imported, ...]:
        """Delete the stack; what is kept, for the next stack of the name to take over.

        Args:
            with_data: also delete what would be kept.

        Raises:
            StackError: a resource cannot be deleted.
        """
        state = self.stack.state()
        if state is not None and not (state.is_new or state.is_unmade):
            left = kept(self.template, self.stack.resources(), state.parameters)
            self.bucket.make()
            self.bucket.write_record(self.stack.name, to_json(left))
        else:  # it never was a whole stack: what an earlier one has left is as it was
            left = recorded(self.bucket, self.stack.name) or Kept((), {})
        if state is not None:
            self.say("deleting the stack")
            self.stack.delete(self.say)
        if not with_data:
            return left.resources
        for one in left.resources:
            remove(one, self.clients, self.say)
        self.bucket.drop_record(self.stack.name)
        return ()


def patterns(caller: str) -> tuple[str, ...]:
    """The patterns of `aws:PrincipalArn` that hold for a caller: of a role, whatever its path, which the session's ARN
    does not tell.

    Args:
        caller: the ARN that STS says.
    """
    _, partition, _, _, account, resource = caller.split(":", 5)
    if not resource.startswith("assumed-role/"):
        return (caller,)
    role = resource.split("/")[1]
    return f"arn:{partition}:iam::{account}:role/{role}", f"arn:{partition}:iam::{account}:role/*/{role}"


def archive_prefix(description: Mapping[str, Any]) -> str:
    """Where the archive's files begin, up to the day.

    Args:
        description: of its delivery stream, by DescribeDeliveryStream.
    """
    (destination,) = description["DeliveryStreamDescription"]["Destinations"]
    return str(destination["ExtendedS3DestinationDescription"]["Prefix"]).partition("dt=")[0]
