"""The table of all patches: each one's name, which is its module's, and the function that installs it.

Room: local platform. docs/local-platform.md says for each how AWS differs from the emulator. The emulator is not
imported before a patch is installed, because it reads its environment on import.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from tidemill_local.patches import (
    actions,
    bucket_events,
    cbor,
    cors,
    policy_conditions,
    provisioning,
    signatures,
    statement_records,
)
from tidemill_local.patches.durability import durability
from tidemill_local.patches.kinesis import (
    record_limits,
    resharding,
    shard_iterators,
    shard_limits,
    shard_listing,
    shard_state,
    stream_calls,
    subscriptions,
)
from tidemill_local.patches.lambda_runtime import asynchronous, invocation_metrics, mapping_api, runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Install: TypeAlias = "Callable[[], None]"


def patches(folder: Path, state: Path | None) -> Mapping[str, Install]:
    """Name -> install, in the order of installation: a later patch may wrap an earlier one.

    Args:
        folder: the folder for files that are deleted with the emulator.
        state: the folder for the state that outlives it; None for no such state.
    """
    return {
        "signatures": signatures.install,
        "shard_state": shard_state.install,
        "shard_listing": shard_listing.install,
        "stream_calls": stream_calls.install,
        "record_limits": record_limits.install,
        "resharding": resharding.install,
        "subscriptions": subscriptions.install,
        "shard_iterators": shard_iterators.install,
        "shard_limits": shard_limits.install,
        "mapping_api": partial(mapping_api.install, (state or folder) / mapping_api.CHECKPOINTS),
        "provisioning": provisioning.install,
        "runtime": runtime.install,
        "invocation_metrics": invocation_metrics.install,
        "asynchronous": asynchronous.install,
        "bucket_events": bucket_events.install,
        "statement_records": statement_records.install,
        "actions": actions.install,
        "policy_conditions": policy_conditions.install,
        "durability": partial(durability.install, state),
        "cbor": cbor.install,
        "cors": cors.install,
    }
