"""Brings a stack to what the template and the parameters say: new, changed, or on what an earlier one has kept.

Room: deploy, I/O by stack.py and code_bucket.py. Tests: tests/infra/tidemill_deploy/stack/test_stack.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidemill_deploy.capacity.steps import steps
from tidemill_deploy.stack.code_bucket import CodeBucket
from tidemill_deploy.stack.kept import Kept, from_json, importing
from tidemill_deploy.stack.stack import ChangeSet, Say, Stack, StackError, State

DRAINED_BY, PROTECTION = "DrainedBy", "DeletionProtection"
"""The parameters that close the ways in, which a rollout opens, and that protect what holds data."""

LATER = "later"
"""The protection's value until a new stack stands: the next deployment ends what one that was stopped has begun."""

SHARDS, MODE = "ShardCount", "StreamMode"
"""The parameters that say how many shards there are, and whether that is settled."""


def recorded(bucket: CodeBucket, stack: str) -> Kept | None:
    """What the record of a stack says that it has left; None if there is no record.

    Raises:
        NotKept: the record cannot be read.
    """
    record = bucket.read_record(stack)
    return None if record is None else from_json(record, bucket.record_of(stack))


@dataclass(frozen=True, slots=True)
class Rollout:
    """A template for a stack.

    Attributes:
        stack: the stack.
        bucket: where its code and templates are uploaded; it exists.
        body: the template's file.
        template: what it says.
        given: values of its parameters; others keep theirs, or have their defaults in a new stack.
    """

    stack: Stack
    bucket: CodeBucket
    body: bytes
    template: Mapping[str, Any]
    given: Mapping[str, str]

    def kept(self) -> Kept | None:
        """What an earlier stack of the name has left, for a new one to take over; None if there is nothing.

        Raises:
            NotKept: its record cannot be read.
        """
        found = recorded(self.bucket, self.stack.name)
        return found if found and found.resources else None

    def prepare(self) -> ChangeSet | None:
        """The next change set; None if nothing is to be changed. One of the kind IMPORT is followed by another.

        Raises:
            StackError: an operation is in progress, the creation failed (delete it then), or CloudFormation
                refuses it.
            NotKept: what an earlier stack has left does not fit the template.
        """
        state = self.stack.state()
        if state is not None and state.is_unmade:
            raise StackError(f"the stack {self.stack.name} is {state.status}: what it has left has to be deleted first")
        if state is not None and not state.is_new:
            self.stack.check_idle(state)
            same: dict[str, str | None] = dict.fromkeys(self._declared & state.parameters.keys())
            values = {**same, **self.given, **self._opened, **self._protected(state)}
            return self.stack.prepare("UPDATE", self._uploaded(self.body), values)
        kept = self.kept()
        at_first = self._opened | self._late(kept)
        if kept:
            body = json.dumps(importing(self.template, kept.resources)).encode()
            before = {name: kept.parameters[name] for name in self._declared & kept.parameters.keys()}
            return self.stack.prepare(
                "IMPORT", self._uploaded(body), {**before, **self.given, **at_first}, kept.resources
            )
        return self.stack.prepare("CREATE", self._uploaded(self.body), {**self.given, **at_first})

    def execute(self, change_set: ChangeSet, say: Say) -> State:
        """Make the changes; the stack afterwards.

        Raises:
            StackError: it failed and was rolled back.
        """
        is_new, wanted = change_set.kind != "UPDATE", self._protection(self.kept())
        state = self.stack.execute(change_set, say)
        if change_set.kind == "IMPORT" and (further := self.prepare()):
            state = self.stack.execute(further, say)
        self.bucket.drop_record(self.stack.name)  # the resources are the stack's again
        if (is_new and wanted == "on") or state.parameters.get(PROTECTION) == LATER:
            say("protecting what holds data from being deleted")
            state = self.with_parameter(PROTECTION, "on", lambda _: None) or state
        return state

    def steps(self) -> tuple[int, ...]:
        """The numbers of shards on the way to the wanted one, without it: an update goes to double or half at most.

        Raises:
            CannotScale: a day does not allow so many changes.
        """
        state = self.stack.state()
        wanted, now = self.given.get(SHARDS), state.parameters.get(SHARDS) if state else None
        is_provisioned = self.given.get(MODE, state.parameters.get(MODE) if state else None) != "ON_DEMAND"
        return steps(int(now), int(wanted))[:-1] if wanted and now and is_provisioned else ()

    def with_parameter(self, name: str, value: str, say: Say) -> State | None:
        """Change one parameter of the stack as it is, and nothing else; None if it has that value.

        Raises:
            StackError: it has no such parameter, or the change failed.
        """
        state = self.stack.state()
        before: dict[str, str | None] = dict.fromkeys(state.parameters if state else ())
        change_set = self.stack.prepare("UPDATE", None, {**before, name: value})
        return None if change_set is None else self.stack.execute(change_set, say)

    def _uploaded(self, body: bytes) -> str:
        return self.bucket.url(self.bucket.upload(body, ".template"))

    def _protection(self, kept: Kept | None) -> str | None:
        """The wanted value of the parameter that protects; None if the template has none."""
        if PROTECTION not in self._declared:
            return None
        default = str(self.template["Parameters"][PROTECTION].get("Default", ""))
        wanted = self.given.get(PROTECTION) or (kept.parameters.get(PROTECTION) if kept else None) or default
        return "on" if wanted == LATER else wanted

    def _protected(self, state: State) -> dict[str, str]:
        """The end of a deployment that was stopped before it protected what holds data."""
        is_late = state.parameters.get(PROTECTION) == LATER and state.status != "IMPORT_COMPLETE"
        return {PROTECTION: "on"} if is_late and PROTECTION not in self.given else {}

    @property
    def _declared(self) -> set[str]:
        return set(self.template.get("Parameters", {}))

    @property
    def _opened(self) -> dict[str, str]:
        return dict.fromkeys(self._declared & {DRAINED_BY}, "")

    def _late(self, kept: Kept | None) -> dict[str, str]:
        """The protection that a new stack begins with: a creation that fails could not delete what is protected."""
        if (wanted := self._protection(kept)) is None:
            return {}
        may_be_late = LATER in self.template["Parameters"][PROTECTION].get("AllowedValues", ())
        return {PROTECTION: LATER if wanted == "on" and may_be_late else "off"}
