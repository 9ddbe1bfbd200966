"""The simulation silences logging; other tests look at it."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _logging_comes_back() -> Iterator[None]:
    yield
    logging.disable(logging.NOTSET)
