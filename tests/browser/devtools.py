"""Chromium driven by its own protocol over pipes: https://chromedevtools.github.io/devtools-protocol/."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


class Tab:
    """A page in the browser."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to = to_browser
        self._from = os.fdopen(from_browser, "rb", buffering=0)
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Security"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """The result of a command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            got = self._next()
            if got.get("id") == self._number:
                assert "error" not in got, got
                return got["result"]
            self.events.append(got)

    def show(self, address: str, *, width: int, height: int, scheme: str, reduced_motion: bool = False) -> None:
        """Load a page on a screen of this size, in a colour scheme."""
        phone = width < 500
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        features += [{"name": "prefers-reduced-motion", "value": "reduce"}] if reduced_motion else []
        self.call("Emulation.setEmulatedMedia", features=features)
        self.call("Page.navigate", url=address)

    def run(self, expression: str) -> Any:
        """What a JavaScript expression gives, or its promise."""
        got = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in got, got
        return got["result"].get("value")

    def until(self, expression: str) -> Any:
        """What a JavaScript expression gives once that is true."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if found := self.run(expression):
                return found
            time.sleep(0.05)
        raise AssertionError(f"{expression} did not come to hold")

    def press(self, key: str, code: int) -> None:
        """Press a key and let it go."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    def picture(self, path: Path) -> None:
        """Keep a picture of the whole page."""
        got = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(got["data"]))

    def complaints(self) -> list[Any]:
        """What the browser complained of so far: refused resources, errors of scripts."""
        kinds = ("Log.entryAdded", "Runtime.exceptionThrown", "Network.loadingFailed")
        return [one for one in self.events if one["method"] in kinds]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = self._from.read(65_536)
            assert more, "the browser has ended"
            self._buffer += more
        message, _, self._buffer = self._buffer.partition(b"\0")
        got: dict[str, Any] = json.loads(message)
        return got

    def close(self) -> None:
        """Let go of the pipes."""
        self._from.close()


@contextmanager
def browser(profile: Path) -> Iterator[Tab]:
    """A browser with one tab; its profile is in this folder."""
    to_child, to_browser = os.pipe()
    from_browser, from_child = os.pipe()
    command = [str(CHROMIUM), *QUIET, f"--user-data-dir={profile}", "--remote-debugging-pipe"]
    # The browser reads its descriptor 3 and writes to its 4.
    shell = ["bash", "-c", f'exec "$@" 3<&{to_child} 4>&{from_child}', "bash", *command]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(shell, pass_fds=(to_child, from_child), **quiet) as process:  # type: ignore[call-overload]
        os.close(to_child)
        os.close(from_child)
        tab = None
        try:
            tab = Tab(to_browser, from_browser)
            yield tab
        finally:
            os.close(to_browser)
            process.terminate()
            process.wait(30)
            if tab:
                tab.close()
