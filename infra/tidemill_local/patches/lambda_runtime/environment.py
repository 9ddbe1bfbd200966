"""An execution environment: one process of a function, and the Runtime API that it polls.

Room: local platform, I/O; knows no emulator. The process leads a group of its own, so that its children end with
it. There is no thread here: the invoking thread reads the one connection and the process's output. Between
invocations nobody reads, so a process that prints in the background blocks, as a frozen one on AWS would.
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

from __future__ import annotations

import importlib.util
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import h11

from tidemill_local import sweeper
from tidemill_local.patches.lambda_runtime.invocations import RESPONSE_LIMIT, Answer, Failure, Invocation
from tidemill_local.patches.lambda_runtime.output import Output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")


_CHUNK = 256 * 1024

POLL_SECONDS = 0.05
"""Seconds between checks whether the process lives: a child that it forked may hold its connection open."""

READY_SECONDS = 10
"""Seconds that a process may take from its answer to its next poll; usually it polls at once."""


_PEAK_MEMORY_HEADER = b"tidemill-peak-memory-kib"


@dataclass(frozen=True, slots=True)
class _Request:
    """A call of the Runtime API by the process."""

    path: str
    headers: Mapping[bytes, bytes]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Ended:
    """The process ended by itself."""

    code: int

    def failure(self, request_id: str) -> Failure:
        """The failure in AWS's words, which are those of Go."""
        reason = "Runtime exited without providing a reason"
        if self.code > 0:
            reason = f"Runtime exited with error: exit status {self.code}"
        if self.code < 0:
            name = (signal.strsignal(-self.code) or str(-self.code)).partition(":")[0].lower()
            reason = f"Runtime exited with error: signal: {name}"
        return Failure("Runtime.ExitError", f"RequestId: {request_id} Error: {reason}")


@dataclass(frozen=True, slots=True)
class _TimedOut:
    """The process did not call in time."""


_Call: TypeAlias = _Request | _Ended | _TimedOut


class Environment:
    """Starts the process. Call `initialise`, then `invoke` while it lives, then `close`.

    Args:
        variables: its environment, to which the Runtime API's address is added.
        task_root: the folder of the function's code.
        packages: folders of layers' packages, searched after the code.
        groups: the register of process groups: see sweeper.py.

    Attributes:
        output: the process's output.
        peak_memory_kib: the highest peak memory that the process has reported.
    """

    def __init__(
        self, variables: Mapping[str, str], task_root: Path, packages: Sequence[Path], groups: sweeper.Groups
    ) -> None:
        self._groups = groups
        self._http = h11.Connection(h11.SERVER)
        self._head: h11.Request | None = None
        self._body: list[bytes] = []
        self._polling = False
        self.peak_memory_kib = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._connected = False
        self._process = self._launch(variables, [task_root, *packages])
        assert self._process.stdout  # noqa: S101 # it is a pipe
        self.output = Output(self._process.stdout)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self.output.pipe, selectors.EVENT_READ)

    def initialise(self, request_id: str, timeout: float) -> Failure | None:
        """Wait until the function's code is loaded.

        Args:
            request_id: the invocation for which it is loaded.
            timeout: the most seconds to wait.
        """
        match self._call(time.monotonic() + timeout):
            case _Request(path="/invocation/next"):
                self._polling = True
                return None
            case _Request(path="/init/error", body=body) if told := _told(body):
                self._reply(202, b'{"status":"OK"}')
                return told
            case _Request(path=path):
                return _unexpected(path, request_id)
            case _Ended() as ended:
                return ended.failure(request_id)
            case _TimedOut():
                return _timeout(request_id, timeout)

    def is_ready(self) -> bool:
        """Whether the process polls for the next invocation: it may have ended since the last."""
        if not self._polling:
            call = self._call(time.monotonic() + READY_SECONDS)
            self._polling = isinstance(call, _Request) and call.path == "/invocation/next"
        return self._polling and self._process.poll() is None

    def invoke(self, invocation: Invocation, timeout: float, limit: float) -> Answer | Failure:
        """Call the handler; only when `is_ready`.

        Args:
            invocation: the event and its context.
            timeout: the remaining seconds.
            limit: the function's whole timeout, for the message.
        """
        if timeout <= 0:
            return _timeout(invocation.request_id, limit)
        deadline = time.monotonic() + timeout
        self._polling = False
        head = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + timeout) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.arn,
            "Lambda-Runtime-Trace-Id": invocation.trace,
        }
        self._socket.settimeout(timeout)
        self._reply(200, invocation.payload, head)
        prefix = f"/invocation/{invocation.request_id}/"
        match self._call(deadline):
            case _Request(path=path, body=body) if path == f"{prefix}response" and len(body) > RESPONSE_LIMIT:
                message = f"Response payload size exceeded maximum allowed payload size ({RESPONSE_LIMIT} bytes)."
                return Failure("Function.ResponseSizeTooLarge", message)
            case _Request(path=path, body=body) if path.startswith(prefix):
                self._reply(202, b'{"status":"OK"}')
                return Answer(body, is_error=path == f"{prefix}error")
            case _Request(path=path):
                return _unexpected(path, invocation.request_id)
            case _Ended() as ended:
                return ended.failure(invocation.request_id)
            case _TimedOut():
                return _timeout(invocation.request_id, limit)

    def close(self) -> None:
        """Kill the process and its children."""
        # The group's number cannot be reused while a member lives or the leader has not been waited for. If it has,
        # that was a moment ago, and numbers are not reused so soon.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._groups.forget(self._process.pid)
        self._selector.close()
        self._socket.close()
        self.output.pipe.close()

    def _launch(self, variables: Mapping[str, str], path: Sequence[Path]) -> subprocess.Popen[bytes]:
        address, port = self._socket.getsockname()
        # -P: modules must not be imported from the bootstrap's own folder. -S: nor what is installed on this machine.
        # -u: output must not wait in a buffer.
        command = [sys.executable, "-P", "-S", "-u", str(BOOTSTRAP), runtime_folders(), *map(str, path)]
        process = subprocess.Popen(  # noqa: S603 # our own program
            command,
            env={**variables, "AWS_LAMBDA_RUNTIME_API": f"{address}:{port}"},
            cwd=path[0],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            process_group=0,
        )
        self._groups.register(process.pid)
        return process

    def _call(self, deadline: float) -> _Call:
        """The next call of the process, or its end, or a timeout at the deadline."""
        while True:
            try:
                if request := self._parsed():
                    return request
            except (h11.RemoteProtocolError, ValueError):  # the function's code has written into its connection
                self._process.kill()
                return _Ended(self._process.wait())
            left = deadline - time.monotonic()
            # Check for the end before reading: bytes sent before the end must still be read.
            ended = self._process.poll() is not None
            patience = 0 if ended or left < 0 else min(POLL_SECONDS, left)
            ready = {key.fileobj for key, _ in self._selector.select(patience)}
            if self.output.pipe in ready and self.output.read():
                self._selector.unregister(self.output.pipe)
            if self._socket in ready:
                ended = not self._receive()
            elif left < 0 and not ended:
                return _TimedOut()
            if ended:
                return _Ended(self._code())

    def _receive(self) -> bool:
        """Read from the connection; returns whether it is still open."""
        if not self._connected:
            self._connected = True
            self._selector.unregister(self._socket)
            connection, _ = self._socket.accept()
            self._socket.close()
            self._socket = connection
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(self._socket, selectors.EVENT_READ)
            return True
        try:
            data = self._socket.recv(_CHUNK)
        except ConnectionError:
            data = b""
        if not data:
            self._selector.unregister(self._socket)
            return False
        self._http.receive_data(data)
        return True

    def _code(self) -> int:
        """The process's exit code; a process that closed its connection and does not end is killed."""
        try:
            return self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _parsed(self) -> _Request | None:
        while True:
            match self._http.next_event():
                case h11.Request() as head:
                    self._head, self._body = head, []
                case h11.Data(data=data):
                    self._body.append(bytes(data))
                case h11.EndOfMessage() if self._head:
                    path = self._head.target.decode().removeprefix("/2018-06-01/runtime")
                    headers = dict(self._head.headers)
                    self.peak_memory_kib = int(headers.get(_PEAK_MEMORY_HEADER, self.peak_memory_kib))
                    return _Request(path, headers, b"".join(self._body))
                case _:
                    return None

    def _reply(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        fields = {**(headers or {}), "Content-Type": "application/json", "Content-Length": str(len(body))}
        head = h11.Response(
            status_code=status, headers=[(name.encode(), value.encode()) for name, value in fields.items()]
        )
        # If the process has ended, does not listen, or breaks the protocol, `_call` notices it next.
        with suppress(OSError, h11.LocalProtocolError):
            for event in (head, h11.Data(data=body), h11.EndOfMessage()):
                for part in self._http.send_with_data_passthrough(event) or ():
                    self._socket.sendall(part)
            self._http.start_next_cycle()


@cache
def runtime_folders() -> str:
    """The folders where the packages of AWS's runtime are installed here, as a path variable has them."""
    specs = [importlib.util.find_spec(name) for name in ("boto3", "simplejson")]
    return os.pathsep.join(dict.fromkeys(str(Path(str(spec.origin)).parents[1]) for spec in specs if spec))


def _told(body: bytes) -> Failure | None:
    """The failure to load the code, as the process reports it; None if the report is malformed."""
    try:
        error = json.loads(body)
        return Failure(error["errorType"], error["errorMessage"], payload=body)
    except (ValueError, LookupError, TypeError):
        return None


def _unexpected(path: str, request_id: str) -> Failure:
    return Failure("Runtime.Unknown", f"RequestId: {request_id} Error: unexpected {path}")


def _timeout(request_id: str, seconds: float) -> Failure:
    message = f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"
    return Failure("Sandbox.Timedout", message, "timeout")
