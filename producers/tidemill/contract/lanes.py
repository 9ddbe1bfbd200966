"""Lanes: fixed, equal slices of the key space; one record holds requests of one lane only.

Room: contract. No I/O. A lane is known from the key alone, so no shard map is read, cached or outdated.
"""

from hashlib import md5

from tidemill.contract.memo import Memo

LANES = 64
"""Default number of lanes: lanes fit shards exactly if there are a power of two of them, up to 64."""

PLAIN_LANES = 512
"""Lanes of a producer that does not aggregate: a call has one record of a lane, and 500 at most."""

MAX_LANES = 1024
"""Most lanes: every call costs a look at each."""

MAX_BITS = MAX_LANES.bit_length() - 1

HASH_BITS = 128
"""Kinesis places a record by a number of 128 bits: the MD5 of its partition key, or its explicit hash key.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecordsRequestEntry.html
"""


def lane_of(key: str, lanes: int = LANES) -> int:
    """The lane of an ordering key, 0 to `lanes` - 1: the top bits of the key's MD5.

    So the hash that Kinesis gives the key lies in its lane's slice, and a consumer that compares the two
    (KCL) agrees wherever shards are made of whole lanes.

    Raises:
        ValueError: `lanes` is not a power of two from 1 to 1024.
    """
    return finest_lanes[key] >> (MAX_BITS - lane_bits(lanes))


def _finest_lane_of(key: str) -> int:
    top = md5(key.encode(), usedforsecurity=False).digest()
    return (top[0] << 8 | top[1]) >> (16 - MAX_BITS)


finest_lanes = Memo(_finest_lane_of)
"""Ordering key -> its lane of `MAX_LANES`."""


def partition_key(lane: int) -> str:
    """The partition key of the lane's records: all of a lane's records share it."""
    return f"lane-{lane}"


def hash_key(lane: int, lanes: int = LANES) -> str:
    """The explicit hash key of the lane's records: the middle of its slice, in decimal.

    One point is in exactly one shard, whatever the number of shards and through every split and merge.

    Raises:
        ValueError: no such lane, or `lanes` is not a power of two from 1 to 1024.
    """
    bits = lane_bits(lanes)
    if not 0 <= lane < lanes:
        raise ValueError(f"lane {lane} is not one of {lanes}")
    return str((2 * lane + 1) << (HASH_BITS - bits - 1))


def lane_bits(lanes: int) -> int:
    """The number of bits of a lane's number.

    Raises:
        ValueError: `lanes` is not a power of two from 1 to 1024.
    """
    if lanes not in _BITS:
        raise ValueError(f"lanes={lanes}: use a power of two from 1 to {MAX_LANES}, such as {LANES}")
    return _BITS[lanes]


_BITS = {2**bits: bits for bits in range(MAX_LANES.bit_length())}
