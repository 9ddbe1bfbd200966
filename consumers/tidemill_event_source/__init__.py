"""Event source mappings as AWS Lambda has them, for any stream and any function.

Room: local platform. Pure: config, pattern, records, batches, failures, sequencer, shard. I/O: streams,
checkpoints, destinations, invoking, and source, which is their composition.
"""

from tidemill_event_source.decisions.batches import InvocationResponse
from tidemill_event_source.decisions.config import InvalidMapping, MappingConfig, parse
from tidemill_event_source.destinations import destination
from tidemill_event_source.invoking import Invoke, in_process, through_lambda
from tidemill_event_source.source import Counts, EventSource

__all__ = [
    "Counts",
    "EventSource",
    "InvalidMapping",
    "InvocationResponse",
    "Invoke",
    "MappingConfig",
    "destination",
    "in_process",
    "parse",
    "through_lambda",
]
