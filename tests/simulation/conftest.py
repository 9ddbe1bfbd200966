"""The simulation silences logging and sets the size of pieces; other tests look at both."""

import logging
from collections.abc import Iterator

import pytest

from tidemill_consumers.core import pieces


@pytest.fixture(autouse=True)
def _all_comes_back() -> Iterator[None]:
    most = pieces.MOST
    yield
    pieces.MOST = most
    logging.disable(logging.NOTSET)
