"""Paces records by what their shards take: a token bucket a shard, whose rate is learned from answers. Pure.

A record leaves when the bucket of its lane's shard has something left.
"""

from tidemill.sending.pacing.by_shard import Division, Paces, Pacing, Unpaced

__all__ = ["Division", "Paces", "Pacing", "Unpaced"]
