"""Load tests and what buffering costs: workloads, logs, the cost model, results and reports.

    from tidemill_load import Assumptions, break_even, cost

    cost("aggregated", 1000, Assumptions(window=60)).per_million  # dollars

The names here are public: the cost model, arithmetic without AWS. They are imported when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidemill_load.cost_model.assumptions import Assumptions, Design, Impossible
    from tidemill_load.cost_model.bill import Bill, Counts, price
    from tidemill_load.cost_model.cost import Point, break_even, cost, curve
    from tidemill_load.cost_model.prices import Prices, list_prices, read_prices
    from tidemill_load.workloads.key_distribution import KeyDistribution

__all__ = [
    "Assumptions",
    "Bill",
    "Counts",
    "Design",
    "Impossible",
    "KeyDistribution",
    "Point",
    "Prices",
    "break_even",
    "cost",
    "curve",
    "list_prices",
    "price",
    "read_prices",
]

_MODULES = {
    "tidemill_load.cost_model.assumptions": ("Assumptions", "Design", "Impossible"),
    "tidemill_load.cost_model.bill": ("Bill", "Counts", "price"),
    "tidemill_load.cost_model.cost": ("Point", "break_even", "cost", "curve"),
    "tidemill_load.cost_model.prices": ("Prices", "list_prices", "read_prices"),
    "tidemill_load.workloads.key_distribution": ("KeyDistribution",),
}
_LAZY = {name: module for module, names in _MODULES.items() for name in names}

if not TYPE_CHECKING:  # a type checker reads the imports above, and tells a name that is not there

    def __getattr__(name: str) -> object:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_LAZY[name]), name)
