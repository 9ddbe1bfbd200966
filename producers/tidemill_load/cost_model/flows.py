"""The flow of requests under a load, steady or uneven.

Room: load, pure. The only module that distinguishes the two kinds of load.
Tests: tests/producers/tidemill_load/cost_model/test_cost.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tidemill_load.cost_model.model import MAX_RATE, Flow, flow

if TYPE_CHECKING:
    from tidemill_load.cost_model.assumptions import Assumptions, Design
    from tidemill_load.cost_model.traffic import Traffic

Load: TypeAlias = "float | Traffic"
"""A steady rate in requests a second, or traffic."""


def flow_of(mode: Design, load: Load, given: Assumptions) -> Flow:
    """The flow of requests in a mode under a load.

    Raises:
        Impossible: the rate is out of range.
    """
    if isinstance(load, int | float):
        return flow(mode, load, given)
    from tidemill_load.cost_model.uneven import uneven  # needs numpy, which a steady rate does not

    return uneven(mode, load, given)


def like(shape: Load, rate: float) -> Load:
    """The shape scaled to a rate."""
    return rate if isinstance(shape, int | float) else shape.at(rate)


def highest(shape: Load) -> float:
    """The highest rate for which a flow can be computed."""
    return MAX_RATE if isinstance(shape, int | float) else MAX_RATE * (1 - 1e-9) * shape.rate / shape.busiest


def searched(load: Load) -> Load:
    """A load to search with in place of this one: a sample of long traffic, otherwise the load itself."""
    return load if isinstance(load, int | float) else load.sample
