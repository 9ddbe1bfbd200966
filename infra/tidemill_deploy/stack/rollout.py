"""Brings a stack to what the template and the parameters say: new, changed, or on what an earlier one has kept.

Room: deploy, I/O by stack.py and code_bucket.py. Tests: tests/infra/tidemill_deploy/stack/test_stack.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidemill_deploy.stack.code_bucket import CodeBucket
from tidemill_deploy.stack.kept import from_json, importing
from tidemill_deploy.stack.stack import FAILED_CREATIONS, ChangeSet, Imported, Say, Stack, State

DRAINED_BY = "DrainedBy"
"""The parameter that closes the ways in; a rollout opens them."""


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

    def kept(self) -> tuple[Imported, ...]:
        """The resources that an earlier stack of the name has left, for a new one to take over.

        Raises:
            NotKept: their record cannot be read.
        """
        record = self.bucket.read_record(self.stack.name)
        return () if record is None else from_json(record)

    def prepare(self, say: Say) -> ChangeSet | None:
        """The next change set; None if nothing is to be changed. One of the kind IMPORT is followed by another.

        Raises:
            StackError: an operation is in progress, or CloudFormation refuses it.
            NotKept: what an earlier stack has left does not fit the template.
        """
        state = self.stack.state()
        if state is not None and state.status in FAILED_CREATIONS:
            say(f"the stack's earlier creation failed ({state.status}): what is left of it is deleted first")
            self.stack.delete(say)
            state = None
        if state is not None and not state.is_new:
            self.stack.check_idle(state)
            return self.stack.prepare("UPDATE", self._uploaded(self.body), self._values(state))
        if kept := self.kept():
            body = json.dumps(importing(self.template, kept)).encode()
            return self.stack.prepare("IMPORT", self._uploaded(body), self._values(None), kept)
        return self.stack.prepare("CREATE", self._uploaded(self.body), self._values(None))

    def execute(self, change_set: ChangeSet, say: Say) -> State:
        """Make the changes; the stack afterwards.

        Raises:
            StackError: it failed and was rolled back.
        """
        state = self.stack.execute(change_set, say)
        if change_set.kind != "IMPORT":
            self.bucket.drop_record(self.stack.name)  # the resources are the stack's again
            return state
        further = self.prepare(say)
        return state if further is None else self.execute(further, say)

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

    def _values(self, state: State | None) -> dict[str, str | None]:
        """Each parameter's value: the given one, or the stack's own as None."""
        declared = self.template.get("Parameters", {})
        opened = {DRAINED_BY: ""} if DRAINED_BY in declared else {}
        before: dict[str, str | None] = {name: None for name in declared if state and name in state.parameters}
        return {**before, **opened, **self.given}
