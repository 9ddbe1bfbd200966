"""Processes that are copies: what an object was in one, it is not in the others.

Room: SDK. A fork copies objects without their threads, with locks as they were held, and with sockets that two
processes then read. A virtual machine restored from a snapshot (AWS Lambda's SnapStart) is a copy too, threads and all,
and there may be many. One writer id in two of them makes two requests of one counter, and consumers take the second for
a repeat.

    os.fork, multiprocessing, gunicorn --preload   noticed, by `os.register_at_fork`
    AWS Lambda SnapStart                           noticed, by `snapshot_restore_py`, which its runtimes bring along
    any other copy of a machine                    not noticed: make producers after it was made
"""

from __future__ import annotations

import os
from contextlib import suppress
from threading import Lock
from typing import Any, NoReturn, Protocol, SupportsIndex
from weakref import WeakSet


class Copied(Protocol):
    """What is not the same in a copy of its process."""

    def begin_again(self, *, forked: bool) -> None:
        """It is in a copy now. `forked`: without its threads, and its original goes on elsewhere."""


class Unique:
    """What there must be once: a copy of it would use the same counters, files or threads beside it."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """What `copy`, `pickle` and multiprocessing ask.

        Raises:
            TypeError: always.
        """
        name = type(self).__name__.lstrip("_")
        raise TypeError(f"{name} cannot be copied or pickled: it would work twice; make one where it is to be used")


_looked_after: WeakSet[Copied] = WeakSet()


def look_after(one: Copied) -> None:
    """Tells it when it is in a copy of its process."""
    _looked_after.add(one)
    _hear_of_restores()


def renew_connections(client: Any) -> None:
    """Has a boto3 client make connections of its own in this copy, and lets go of locks that were held elsewhere.

    botocore has no way to say so: a client's `close` is one, and takes locks of the pool that the fork may have copied
    as held. So its pools are replaced, where they are what they were in 2026; where they are not, it is closed.
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
    """The lock under which its credentials are renewed, which the fork may have copied as held."""
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
