"""The KPL aggregated record: many user records as the bytes of one Kinesis record.

An aggregate is read whole or refused.
"""

from tidemill.contract.aggregation.format import (
    EMPTY_BYTES,
    MAGIC,
    Columns,
    CorruptAggregate,
    UserRecord,
    is_aggregate,
)
from tidemill.contract.aggregation.reading import unpack, unpack_columns
from tidemill.contract.aggregation.writing import Aggregate, pack

__all__ = [
    "EMPTY_BYTES",
    "MAGIC",
    "Aggregate",
    "Columns",
    "CorruptAggregate",
    "UserRecord",
    "is_aggregate",
    "pack",
    "unpack",
    "unpack_columns",
]
