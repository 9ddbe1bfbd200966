"""Event source mappings as AWS Lambda has them, for any stream and any function.

Room: event source. decisions/ is pure: it says what to do next. Around it is what does it: source finds the shards and
starts a shard_worker for each, which reads with streams, calls the function with invoking, tells destinations and keeps
checkpoints.
"""

from tidemill_event_source.counts import Counts, ShardCounts
from tidemill_event_source.decisions.batches import InvocationResponse
from tidemill_event_source.decisions.config import InvalidMapping, MappingConfig, parse
from tidemill_event_source.destinations import destination
from tidemill_event_source.invoking import Invoke, in_process, through_lambda
from tidemill_event_source.source import EventSource

__all__ = [
    "Counts",
    "EventSource",
    "InvalidMapping",
    "InvocationResponse",
    "Invoke",
    "MappingConfig",
    "ShardCounts",
    "destination",
    "in_process",
    "parse",
    "through_lambda",
]
