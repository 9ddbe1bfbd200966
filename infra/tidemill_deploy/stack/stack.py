"""One CloudFormation stack: its state, change sets, updates with their events, and its deletion.

Room: deploy, I/O: CloudFormation alone. changes.py says what a change set means.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from uuid import uuid4

from botocore.exceptions import ClientError

from tidemill_deploy.stack.changes import Change, changes

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

Say: TypeAlias = Callable[[str], None]
"""Gets a line for the user."""

Kind: TypeAlias = Literal["CREATE", "UPDATE", "IMPORT"]
"""A change set's."""

CAPABILITIES: Any = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]

FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.05, 3.0, 1.5
"""Seconds between two questions about an operation in progress, growing: stacks take seconds here, minutes on AWS."""

NOTHING_TO_DO = ("didn't contain changes", "No updates are to be performed")
"""How CloudFormation says that a change set would change nothing: its status is FAILED then."""

REVIEWED = "REVIEW_IN_PROGRESS"
"""The state of a stack that has a change set and nothing else."""

FAILED_CREATIONS = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")
"""The states of stacks that can only be deleted: they were never complete."""

GONE = "DELETE_COMPLETE"

_OVERTAKEN = ("ChangeSetNotFound", "InvalidChangeSetStatus", "ValidationError")
"""How CloudFormation says that a change set is not there any more, or does not fit the stack any more: "after you
execute a change set, CloudFormation deletes any additional change sets",
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets-execute.html."""

_STUCK = {
    "UPDATE_ROLLBACK_FAILED": "see its events, mend the cause, and have it continued: aws cloudformation "
    "continue-update-rollback --stack-name {name}",
    "DELETE_FAILED": "see its events, and delete it again: aws cloudformation delete-stack --stack-name {name}",
}


class StackError(Exception):
    """CloudFormation refused or failed; the message has its reasons."""


@dataclass(frozen=True, slots=True)
class State:
    """A stack as CloudFormation describes it.

    Attributes:
        id: its ARN, by which it is known after it is deleted too.
        status: such as UPDATE_COMPLETE.
        parameters: their values; secret ones are masked.
        outputs: their values.
    """

    id: str
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    @property
    def is_new(self) -> bool:
        """Whether nothing was created yet."""
        return self.status == REVIEWED

    @property
    def is_unmade(self) -> bool:
        """Whether its creation failed, so that it can only be deleted."""
        return self.status in FAILED_CREATIONS


@dataclass(frozen=True, slots=True)
class Imported:
    """A resource that exists and that the stack takes over.

    Attributes:
        logical_id: its name in the template.
        type: such as `AWS::DynamoDB::Table`.
        identifier: what names it, such as {"TableName": "…"}.
    """

    logical_id: str
    type: str
    identifier: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set that is ready to be executed."""

    id: str
    stack_id: str
    kind: Kind
    changes: tuple[Change, ...]


class Stack:
    """A stack by its name, which need not exist. One idea: what CloudFormation does with it.

    Args:
        cloudformation: a boto3 client.
        name: the stack's.
        sleep: waits so many seconds.
    """

    def __init__(
        self, cloudformation: CloudFormationClient, name: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._cloudformation = cloudformation
        self._sleep = sleep
        self.name = name

    def state(self) -> State | None:
        """What the stack is; None if there is none.

        Raises:
            ClientError, BotoCoreError: CloudFormation cannot be asked.
        """
        return self._described(self.name)

    def check_idle(self, state: State) -> None:
        """Raises:
        StackError: an operation is in progress, or the last one left the stack so that none can begin.
        """
        if state.status.endswith("_IN_PROGRESS") and not state.is_new:
            raise StackError(f"the stack {self.name} is {state.status}: wait until that is done, and try again")
        if remedy := _STUCK.get(state.status):
            raise StackError(f"the stack {self.name} is {state.status}: {remedy.format(name=self.name)}")

    def prepare(
        self,
        kind: Kind,
        template_url: str | None,
        parameters: Mapping[str, str | None],
        imported: Sequence[Imported] = (),
    ) -> ChangeSet | None:
        """A change set; None if it would change nothing.

        Args:
            kind: IMPORT takes over resources, and does nothing else.
            template_url: where the template is in S3; None for the stack's own.
            parameters: the values; None keeps the stack's own.
            imported: the resources that are taken over.

        Raises:
            StackError: CloudFormation refuses it, with its reason.
        """
        template: Any = {"UsePreviousTemplate": True} if template_url is None else {"TemplateURL": template_url}
        if imported:
            template["ResourcesToImport"] = [
                {"ResourceType": one.type, "LogicalResourceId": one.logical_id, "ResourceIdentifier": one.identifier}
                for one in imported
            ]
        try:
            made = self._cloudformation.create_change_set(
                StackName=self.name,
                ChangeSetName=f"tidemill-{uuid4().hex}",
                ChangeSetType=kind,
                Parameters=[_parameter(name, value) for name, value in parameters.items()],
                Capabilities=CAPABILITIES,
                **template,
            )
        except ClientError as error:
            raise StackError(f"the stack {self.name} is refused: {error.response['Error']['Message']}") from None
        return self._ready(made["Id"], made["StackId"], kind)

    def discard(self, change_set: ChangeSet) -> None:
        """Delete the change set, and the stack if nothing of it was created and nobody else has a change set for it."""
        self._delete_change_set(change_set.id, change_set.stack_id)

    def execute(self, change_set: ChangeSet, say: Say) -> State:
        """Make the changes, and say what happens; the stack afterwards.

        Raises:
            StackError: it failed and was rolled back, with the reasons; or the stack has changed since the change set
                was made, and nothing was done.
        """
        token = f"tidemill-{uuid4().hex}"
        with self._unless_overtaken():
            self._cloudformation.execute_change_set(
                ChangeSetName=change_set.id, StackName=change_set.stack_id, ClientRequestToken=token
            )
        state = self._followed(change_set.stack_id, token, say)
        if state.status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"):
            raise StackError(self._reasons(state, token))
        return state

    def delete(self, say: Say) -> None:
        """Delete the stack, and say what happens.

        Raises:
            StackError: a resource cannot be deleted.
        """
        state = self.state()
        if state is None:
            return
        token = f"tidemill-{uuid4().hex}"
        self._cloudformation.delete_stack(StackName=state.id, ClientRequestToken=token)
        ended = self._followed(state.id, token, say)
        if ended.status != GONE:
            raise StackError(self._reasons(ended, token))

    def resources(self) -> Mapping[str, tuple[str, str]]:
        """Logical id -> type and physical id, of all the stack's resources."""
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.name)
        return {
            one["LogicalResourceId"]: (one["ResourceType"], one["PhysicalResourceId"])
            for page in pages
            for one in page["StackResourceSummaries"]
            if one.get("PhysicalResourceId") and one["ResourceStatus"] != GONE
        }

    def template(self) -> str:
        """The stack's template, as it was given."""
        body: Any = self._cloudformation.get_template(StackName=self.name, TemplateStage="Original")["TemplateBody"]
        return body if isinstance(body, str) else json.dumps(body)  # boto3 parses JSON

    def _described(self, name: str) -> State | None:
        try:
            (found,) = self._cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return None
            raise
        parameters = {one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])}
        outputs = {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}
        return State(found["StackId"], found["StackStatus"], parameters, outputs)

    def _ready(self, change_set: str, stack: str, kind: Kind) -> ChangeSet | None:
        """The change set once CloudFormation has computed it."""
        for pause in pauses():
            pages = list(self._pages(change_set, stack))
            status, reason = pages[0]["Status"], pages[0].get("StatusReason", "no reason given")
            if status == "CREATE_COMPLETE":
                found = changes(one for page in pages for one in page.get("Changes", []))
                return ChangeSet(change_set, stack, kind, found)
            if status == "FAILED":
                self._delete_change_set(change_set, stack)
                if any(one in reason for one in NOTHING_TO_DO):
                    return None
                raise StackError(f"the change of the stack {self.name} cannot be made: {reason}")
            self._sleep(pause)
        raise AssertionError("pauses end")

    def _pages(self, change_set: str, stack: str) -> Iterator[Any]:
        more: Any = {}
        while True:
            with self._unless_overtaken():
                page = self._cloudformation.describe_change_set(ChangeSetName=change_set, StackName=stack, **more)
            yield page
            if not page.get("NextToken"):
                return
            more = {"NextToken": page["NextToken"]}

    @contextmanager
    def _unless_overtaken(self) -> Iterator[None]:
        """Raises:
        StackError: somebody else was faster.
        """
        try:
            yield
        except ClientError as error:
            if error.response["Error"]["Code"] not in _OVERTAKEN:
                raise
            raise StackError(
                f"the stack {self.name} was changed, or its change set deleted, by somebody else meanwhile: nothing "
                f"was done here; look at the stack, and run it again ({error.response['Error']['Message']})"
            ) from None

    def _delete_change_set(self, change_set: str, stack: str) -> None:
        """Delete a change set, and the stack if it has nothing else and no other, which somebody else may have made:
        CloudFormation leaves it, and it can be in the way."""
        try:
            self._cloudformation.delete_change_set(ChangeSetName=change_set, StackName=stack)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _OVERTAKEN:
                raise
            return  # the stack is somebody else's by now
        if self._cloudformation.list_change_sets(StackName=self.name)["Summaries"]:
            return
        state = self._described(stack)
        if state is not None and state.is_new:
            self._cloudformation.delete_stack(StackName=stack)

    def _followed(self, stack: str, token: str, say: Say) -> State:
        """The stack once its operation is done; says each event of a resource."""
        said: set[str] = set()
        for pause in pauses():
            state = self._described(stack)
            for event in self._events(stack, token, said):
                say(_words(event))
            if state is None or not state.status.endswith("_IN_PROGRESS"):
                return state or State(stack, GONE, {}, {})
            self._sleep(pause)
        raise AssertionError("pauses end")

    def _events(self, stack: str, token: str, said: set[str]) -> list[Any]:
        """The operation's new events, the oldest first."""
        found: list[Any] = []
        for page in self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack):
            new = [one for one in page["StackEvents"] if one["EventId"] not in said]
            found += [one for one in new if one.get("ClientRequestToken") == token]
            said.update(one["EventId"] for one in new)
            if len(new) < len(page["StackEvents"]):
                break
        return found[::-1]

    def _reasons(self, state: State, token: str) -> str:
        failures = [
            f"  {one['LogicalResourceId']}: {one.get('ResourceStatusReason', 'no reason given')}"
            for one in self._events(state.id, token, set())
            if one["ResourceStatus"].endswith("_FAILED")
        ]
        return "\n".join([f"the stack {self.name} is {state.status}:", *(failures or ["  no reason given"])])


def pauses() -> Iterator[float]:
    """Seconds to wait before each further question, growing up to a limit, without end."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * GROWTH, LONGEST_PAUSE)


def _parameter(name: str, value: str | None) -> Any:
    if value is None:
        return {"ParameterKey": name, "UsePreviousValue": True}
    return {"ParameterKey": name, "ParameterValue": value}


def _words(event: Mapping[str, Any]) -> str:
    reason = event.get("ResourceStatusReason")
    told = f": {reason}" if reason and event["ResourceStatus"].endswith("_FAILED") else ""
    return f"{event['ResourceStatus']:<28} {event['LogicalResourceId']}{told}"
