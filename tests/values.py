"""JSON for tests to try: what a request may hold, and what the table may."""

from __future__ import annotations

from hypothesis import strategies as st

from tidemill_consumers.core.batch import Position

texts = st.text(max_size=20)
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
documents = st.dictionaries(texts, values, max_size=5)
"""A request's data."""

storable_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
storable_numbers = st.integers(-(10**38) + 1, 10**38 - 1) | st.floats(-1e125, 1e125, allow_nan=False)
storable_values = st.recursive(
    st.none() | st.booleans() | storable_numbers | storable_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(storable_texts, inner, max_size=3),
    max_leaves=8,
)


class Context:
    """What is asked of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int:
        """As much as the template gives the apply function."""
        return 120_000


def places(*sequences: int) -> list[Position]:
    """Positions of plain records."""
    return [Position(sequence, 0) for sequence in sequences]
