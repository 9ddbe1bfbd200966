"""The emulator of AWS as an object: it is started, gives out clients, and is stopped.

Room: local platform, I/O. Its process runs launcher.py; clients.py makes its clients.
"""

from __future__ import annotations

import errno
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill_local.clients import REGION, ROOT_KEY, EmulatorSession, RootClients
from tidemill_local.patches import left_out
from tidemill_local.patches.durability import durability
from tidemill_local.patches.kinesis import shard_limits
from tidemill_local.patches.lambda_runtime import asynchronous
from tidemill_local.sweeper import Sweeper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

SWITCHES = {shard_limits.SWITCH, asynchronous.SWITCH, left_out.VARIABLE}
"""The environment variables that the emulator takes over from this process."""

DEFAULT_PORT = 4566
"""The port that LocalStack's tools use."""

START_SECONDS = 30
"""Seconds that a start may take: half a second is usual."""

STOP_SECONDS = 10
"""Seconds that writing the state at the end may take."""


class EmulatorError(Exception):
    """The emulator does not run; the message says why."""


class PortInUse(EmulatorError):
    """Something else listens on the port."""

    def __init__(self, port: int) -> None:
        holder = " by another emulator" if _is_emulator(port) else ""
        super().__init__(
            f"port {port} is in use{holder}; stop what listens there or choose another: --port 0 takes a free one"
        )
        self.port = port


class EmulatorDied(EmulatorError):
    """The emulator's process ended, or never answered."""

    def __init__(self, what: str, log: str) -> None:
        super().__init__(f"the emulator {what}; its last words:\n{log or '(none)'}")


class Emulator:
    """A local AWS in a process of its own, as a context manager.

    Args:
        port: the port to listen on at 127.0.0.1; 0 takes a free one.
        state: a folder that keeps the emulator's state for the next emulator on it, however this one ends; without
            one the state is gone when the emulator ends.

    Raises:
        PortInUse: on entering, when something listens on `port`.
        EmulatorDied: on entering, when it does not become healthy.

    Example:
        with Emulator(port=0) as emulator:
            emulator.client("s3").list_buckets()
    """

    def __init__(self, port: int = DEFAULT_PORT, state: Path | None = None) -> None:
        self._wanted_port = port
        self._state = state.absolute() if state else None
        self._process: subprocess.Popen[bytes] | None = None
        self._sweeper: Sweeper | None = None
        self._folder = Path()
        self._clients = RootClients("")
        self.endpoint_url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until it answers; raises the errors that the class lists."""
        with ExitStack() as opened:
            listener = opened.enter_context(_listen(self._wanted_port))
            port = listener.getsockname()[1]
            listeners = [listener, *map(opened.enter_context, _listen_beside(port))]
            self._folder = Path(tempfile.mkdtemp(prefix="tidemill-"))
            self.endpoint_url = f"http://127.0.0.1:{port}"
            self._clients = RootClients(self.endpoint_url)
            self._sweeper = Sweeper(self._folder)
            try:
                self._process = _launch(listeners, port, self._folder, self._sweeper.launchers_end, self._state)
            finally:
                self._sweeper.launched()
        try:
            # The socket listens already, so one health check is enough: it waits until it is served.
            _ask_health(port, START_SECONDS)
        except (OSError, http.client.HTTPException):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)  # its socket closes a moment before the process ends
            died = _death(self._process, self._folder / "log")
            self.stop()
            raise died from None
        except BaseException:
            self.stop()
            raise

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def check(self, patience: float = 0) -> None:
        """Raise EmulatorDied, with the last lines of the log, if the process ends within `patience` seconds.

        A caller whose connection broke needs some patience: it breaks a moment before the process ends.
        """
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
        if not self.alive():
            raise _death(self._process, self._folder / "log")

    def stop(self) -> None:
        """End the emulator and every process it started, and delete its folder. A second call does nothing."""
        process, self._process = self._process, None
        if process is None or self._sweeper is None:
            return
        if self._state:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=STOP_SECONDS)
        # SIGKILL: nothing more is worth keeping, and SIGTERM takes seconds when an invocation is in flight. The group's
        # number cannot be reused while a member lives or the leader has not been waited for.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)
        self._clients.close()
        self._sweeper.finish()

    @property
    def kept(self) -> Path:
        """The folder for files that shall live as long as the emulator's state."""
        return self._state or self._folder

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that point any AWS SDK or tool at this emulator, as root."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            **dict.fromkeys(("NO_PROXY", "no_proxy"), _no_proxy()),
        }

    def client(self, service: str) -> Any:
        """The boto3 client of `service` with root's credentials, one for all callers."""
        return self._clients.of(service)

    def invoking_client(self) -> Any:
        """The boto3 client of Lambda for invocations: it waits as long as a function may run, and does not retry."""
        return self._clients.invoking()

    def session(self, key: str, secret: str, token: str | None = None) -> EmulatorSession:
        """A session that makes clients with the given credentials."""
        return EmulatorSession(self.endpoint_url, key, secret, token)


def _death(process: subprocess.Popen[bytes] | None, log: Path) -> EmulatorDied:
    code = process.poll() if process else None
    what = "does not answer" if code is None else f"ended with {code}"
    with suppress(OSError):
        return EmulatorDied(what, _tail(log))
    return EmulatorDied(what, "")


def _no_proxy() -> str:
    """This machine's names, and the hosts that the user's environment already exempts from its proxy."""
    kept = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    names = ["127.0.0.1", "localhost", "::1", *kept.split(",")]
    return ",".join(dict.fromkeys(filter(None, names)))


def _listen(port: int) -> socket.socket:
    """A listening socket. The parent opens it, so that no other program takes the port before it is served."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # An earlier run's closed connections do not block the port; a program that listens there still does.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(port) from None
        raise
    return listener


def _listen_beside(port: int) -> list[socket.socket]:
    """A listening socket on the port at ::1, which `localhost` may mean; none where that is not free."""
    with suppress(OSError):
        listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.bind(("::1", port))
            listener.listen(128)
        except OSError:
            listener.close()
            raise
        return [listener]
    return []


def _launch(
    listeners: Sequence[socket.socket], port: int, folder: Path, life: int, state: Path | None
) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "tidemill_local.launcher",
        ",".join(str(listener.fileno()) for listener in listeners),
        str(port),
        str(folder),
    ]
    # Only PATH is taken from the user's environment: the emulator would read settings from the other variables.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
    environment |= {name: value for name, value in os.environ.items() if name in SWITCHES}
    environment |= {durability.VARIABLE: str(state)} if state else {}
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 # our own program
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.PIPE,  # never written to: its end tells the launcher that this process has ended
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[
                *(listener.fileno() for listener in listeners),
                life,
            ],  # the latter is only held: its end tells the sweeper that the launcher has ended
            start_new_session=True,  # a process group of its own, which is killed as a whole
            umask=0o077,  # its files contain secrets
        )


def _ask_health(port: int, seconds: float) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status
    finally:
        connection.close()


def _is_emulator(port: int) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return _ask_health(port, 1) == http.client.OK
    return False


def _tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
