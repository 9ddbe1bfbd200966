"""The page of a local platform: its figures, taken at most once a second, and where they are shown.

Room: command line. `tidemill up` and `tidemill demo` have it.
Tests: tests/e2e/test_page.py.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from tidemill.contract.signature import stream_name
from tidemill_cli.commands.up.function_log import FunctionLog
from tidemill_cli.commands.up.quarantine import WatchedQuarantine
from tidemill_cli.errors import CommandError
from tidemill_cli.producers import once
from tidemill_consumers.core.trust import Seals
from tidemill_consumers.operations.redrive import Objects
from tidemill_local.clients import ROOT_KEY
from tidemill_local.platform import Platform
from tidemill_page import Answers, Batches, Figures, PageServer, Readings, Reckoning

TITLE = "the local platform"

SECONDS = 1.0
"""Between two takes of the figures."""


class LocalFigures:
    """The figures of a platform that runs in this process.

    Args:
        platform: it runs.
        answers: what its functions answer.
        secret: the application's; empty without one.

    Attributes:
        batches: to be told what the functions' log has.
        quarantine: the platform's.
    """

    def __init__(self, platform: Platform, answers: Answers, secret: str = "") -> None:
        outputs, client = platform.outputs, platform.emulator.client
        self._platform = platform
        self._answers = answers
        self._readings = Readings(outputs["ApplyFunctionName"])
        self.batches = Batches(outputs["ApplyFunctionName"])
        self._reckoning = Reckoning(time.time())
        stream, bucket = outputs["StreamName"], outputs["QuarantineBucketName"]
        seals = Seals.read(stream_name(stream), secret) if secret else None
        root = platform.emulator.session(ROOT_KEY, ROOT_KEY)
        self.quarantine = WatchedQuarantine(
            client("s3"),
            bucket,
            Objects(client("s3"), bucket, seals=seals),
            stream,
            lambda: root.client("kinesis", once()),
        )

    def take(self) -> Figures:
        """The figures now."""
        answered = self._answers.totals
        reading = self._readings.read(self._platform.event_sources, answered, self.batches, time.time())
        return self._reckoning.figures(reading, self.quarantine.newest(answered.quarantined))


@contextmanager
def served(figures: LocalFigures, port: int | None, *, redrives: bool = True) -> Iterator[PageServer | None]:
    """Serve the page of these figures within the block; nothing without a port.

    Raises:
        CommandError: the port is taken, or not allowed.
    """
    if port is None:
        yield None
        return
    server = PageServer(TITLE, port, figures.quarantine.redrive if redrives else None)
    try:
        server.start()
    except OSError as error:
        raise CommandError(
            f"the page cannot be served at port {port}: {error.strerror}; --page names another"
        ) from None
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def shown_meanwhile(
    platform: Platform, answers: Answers, port: int | None, say: Callable[[str], None]
) -> Iterator[None]:
    """Serve the page of a platform within the block, kept up to date by a thread; nothing is redriven there.

    Args:
        platform: it runs.
        answers: what its functions answer.
        port: None serves nothing.
        say: told the page's address.

    Raises:
        CommandError: the port is taken, or not allowed.
    """
    figures = LocalFigures(platform, answers)
    functions = {"apply": platform.outputs["ApplyFunctionName"]}
    log = FunctionLog(platform.emulator.client("logs"), functions, int(time.time() * 1000), figures.batches.heard)
    with served(figures, port, redrives=False) as page:
        if page is None:
            yield
            return
        say(f"the figures, live, as long as this runs: {page.address}")
        ended = Event()

        def follow() -> None:
            while not ended.wait(SECONDS):
                try:
                    deque(log.new(), maxlen=0)  # its lines are heard, and not shown
                    page.publish(figures.take())
                except Exception:
                    if not ended.is_set():  # else the platform has stopped amid a call
                        raise

        page.publish(figures.take())
        # Nobody waits for it: who stops the platform is not to wait for a call of it.
        Thread(target=follow, name="figures", daemon=True).start()
        try:
            yield
        finally:
            ended.set()
