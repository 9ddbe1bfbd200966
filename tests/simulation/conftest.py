"""The simulation silences logging and sets the sizes of pieces and of the index's pages; other tests look at them."""

import logging
from collections.abc import Iterator

import pytest

from tidemill_consumers.core import pieces
from tidemill_media.indexing import pages


@pytest.fixture(autouse=True)
def _all_comes_back() -> Iterator[None]:
    most, most_entries, least_entries = pieces.MOST, pages.MOST, pages.LEAST
    yield
    pieces.MOST, pages.MOST, pages.LEAST = most, most_entries, least_entries
    logging.disable(logging.NOTSET)
