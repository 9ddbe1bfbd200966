"""The files of the emulator's state, in its own form: each is written and read whole, or the error is raised.

Room: local platform, I/O. The emulator itself only logs a state that it cannot write or read. It also misreads an item
whose attribute has the name of one of its type tags; such names are escaped here.
Tests: tests/e2e/test_up.py.
"""

from __future__ import annotations

import fcntl
import json
import logging
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

_ESCAPED = "__escaped__"
_TAGS = {"__bytes__", "__scoped__", "__account_region_scoped__", _ESCAPED}

log = logging.getLogger(__name__)


class StateUnusable(OSError):
    """The folder, or a file in it, cannot be used; the message names it."""


class StateInUse(StateUnusable):
    """Another platform runs on the folder."""


def check(folder: Path) -> None:
    """Raise StateUnusable, or StateInUse, if no platform could run on the folder now."""
    lock(folder).close()


def lock(folder: Path) -> TextIO:
    """Create the folder and lock it while the returned file is open; raises the same errors as `check`."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)  # it contains secrets; an earlier release used the umask
        file = (folder / "lock").open("w")
    except OSError as error:
        raise StateUnusable(f"{folder} cannot hold the state: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StateInUse(f"another platform runs on {folder}") from None
    return file


class StateFiles:
    """Writes and reads the services' states.

    Args:
        persistence: the emulator's module of that name, which defines the form.
        folder: the folder of the files.
        needed: services whose failure to be written is raised; another service's file is then left as it was.
    """

    def __init__(self, persistence: Any, folder: Path, needed: Collection[str]) -> None:
        self._persistence = persistence
        self._folder = folder
        self._needed = needed

    def save_all(self, states: Mapping[str, Callable[[], Any]]) -> None:
        """Write each service's state; a state of None is not written."""
        for service, get_state in states.items():
            try:
                state = get_state()
                if state is not None:
                    self.save(service, state)
            except (TypeError, ValueError):
                if service in self._needed:
                    raise
                log.exception("the state of %s cannot be written; it is kept as it was", service)

    def save(self, service: str, state: Any) -> None:
        """Write one service's state, whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        version = self._persistence._state_format_version(service)
        whole = {"__ministack_format__": version, "payload": _escape(state)}
        text = json.dumps(whole, default=self._persistence._json_default)
        fresh = self._folder / f"{service}.json.tmp"
        try:
            fresh.write_text(text)
            fresh.replace(self._folder / f"{service}.json")
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise

    def load(self, service: str) -> Any:
        """A service's state; None if there is none.

        Raises:
            StateUnusable: the file cannot be read.
        """
        file = self._folder / f"{service}.json"
        if not file.exists():
            return None
        try:
            whole = json.loads(file.read_text(), object_hook=self._unescape)
            if whole["__ministack_format__"] > self._persistence._state_format_version(service):
                raise ValueError("it was written by a later release")
            return whole["payload"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise unreadable(file, error) from error

    def load_all(self, services: Mapping[str, Callable[[], Any]]) -> None:
        """Load each service's saved state into its module, which a call imports; raises StateUnusable."""
        for service, module in services.items():
            state = self.load(service)
            if state:
                try:
                    module().load_persisted_state(state)
                except Exception as error:
                    log.exception("the state of %s is not taken up", service)
                    raise unreadable(self._folder / f"{service}.json", error) from error

    def _unescape(self, found: dict[str, Any]) -> Any:
        if found.keys() == {_ESCAPED}:
            return dict(found[_ESCAPED])
        return self._persistence._json_object_hook(found)


def unreadable(file: Path, error: Exception) -> StateUnusable:
    """The exception for a file that cannot be read."""
    # The message names the file in `snapshot`: `state` is copied from it at each start.
    kept = file.parent.with_name("snapshot") / file.name if file.parent.name == "state" else file
    return StateUnusable(f"{kept} cannot be read ({error!r}); mend it, or begin anew with another folder")


def _escape(value: Any) -> Any:
    """The value, where each dict that would be taken for a tag is a list of pairs under a tag of its own."""
    if isinstance(value, dict):
        inner = {key: _escape(one) for key, one in value.items()}
        return inner if _TAGS.isdisjoint(inner) else {_ESCAPED: [list(pair) for pair in inner.items()]}
    if isinstance(value, list | tuple):
        return [_escape(one) for one in value]
    if hasattr(value, "_data"):  # one of the emulator's dicts, which are scoped by account
        scoped = type(value)()
        scoped._data = {key: _escape(one) for key, one in value._data.items()}
        return scoped
    return value
