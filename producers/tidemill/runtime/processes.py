"""Copies of a process, by fork or snapshot: objects that must be unique start anew in each.

Room: SDK. A fork copies objects without their threads, with locks in their current state, and with sockets that two
processes then read. A virtual machine restored from a snapshot (AWS Lambda's SnapStart) is a copy too, with its
threads, and there may be many. If two copies used one writer id, two requests would have one counter, and consumers
would take the second for a repeat.

    os.fork, multiprocessing, gunicorn --preload   detected, by `os.register_at_fork`
    AWS Lambda SnapStart                           detected, by `snapshot_restore_py`, which is part of its runtimes
    any other copy of a machine                    not detected: make producers afterwards
"""

from __future__ import annotations

import os
from contextlib import suppress
from threading import Lock
from typing import Any, NoReturn, Protocol, SupportsIndex
from weakref import WeakSet


class Copied(Protocol):
    """An object that must start anew in a copy of its process."""

    def begin_again(self, *, forked: bool) -> None:
        """Starts anew in a copy. `forked`: its threads are gone, and the original still runs in the parent."""


class Unique:
    """Base of objects that cannot be copied or pickled: a copy would use the same counters, files or threads."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuses `copy`, `pickle` and multiprocessing.

        Raises:
            TypeError: always.
        """
        name = type(self).__name__.lstrip("_")
        raise TypeError(f"{name} cannot be copied or pickled: it would work twice; make one where it is to be used")


_looked_after: WeakSet[Copied] = WeakSet()


def look_after(one: Copied) -> None:
    """Registers an object: `begin_again` is called on it in each copy of the process."""
    _looked_after.add(one)
    _hear_of_restores()


def renew_connections(client: Any) -> None:
    """Makes a boto3 client open new connections in this copy, and replaces locks that may have been copied as held.

    botocore has no call for this: `close` takes locks of the pool, which the fork may have copied as held. So the pools
    are replaced. If botocore's attributes are not those of 2026, the client is closed instead.
    """
    try:
        session = client._endpoint.http_session
        manager = type(session._manager)(**session._get_pool_manager_kwargs())
        manager.pool_classes_by_scheme = session._pool_classes_by_scheme
        session._manager, session._proxy_managers = manager, {}
    except AttributeError:
        with suppress(AttributeError):
            client.close()
    renew_credentials(client)


def renew_credentials(client: Any) -> None:
    """Replaces the lock for renewing the client's credentials, which the fork may have copied as held."""
    with suppress(AttributeError):
        credentials = client._request_signer._credentials
        if hasattr(credentials, "_refresh_lock"):
            credentials._refresh_lock = Lock()


def _after_fork() -> None:
    for one in list(_looked_after):
        one.begin_again(forked=True)


def _after_restore() -> None:
    for one in list(_looked_after):
        one.begin_again(forked=False)


_restores: list[bool] = []


def _hear_of_restores() -> None:
    # https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
    if not _restores and os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        _restores.append(True)
        from snapshot_restore_py import register_after_restore

        register_after_restore(_after_restore)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
