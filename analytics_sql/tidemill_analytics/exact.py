"""A result of SQL as a data frame whose numbers are exact: DuckDB's own makes floats of the largest types.

Room: analytics.

| type of SQL | in the frame |
|---|---|
| HUGEINT (every sum of integers), UHUGEINT, BIGNUM | int64; Python's int where one does not fit |
| DECIMAL | Python's Decimal |
| lists and structs of these | Python's own |
| others | as DuckDB's .df() has them |
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    import pandas as pd

_INTEGER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|BIGNUM")
_INEXACT = re.compile(r"HUGEINT|BIGNUM|DECIMAL")
"""The types, or parts of types, that DuckDB gives as floats or not at all."""


def frame(answered: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The rows of the statement that was just executed."""
    types = [str(column[1]) for column in answered.description or ()]
    if not any(map(_INEXACT.search, types)):
        return answered.df()
    import pandas as pd

    names = _distinct([column[0] for column in answered.description or ()])
    rows = answered.fetchall()
    values = zip(*rows, strict=True) if rows else ((),) * len(types)
    columns = map(_column, values, types)
    return pd.DataFrame(dict(zip(names, columns, strict=True)))


def _column(values: Sequence[Any], kind: str) -> pd.Series[Any]:
    import pandas as pd

    if kind == "BIGNUM":  # which DuckDB gives as text
        values = [None if value is None else int(value) for value in values]
    if _INTEGER.fullmatch(kind) and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pd.Series(values, dtype="Int64" if None in values else "int64")
    return pd.Series(values, dtype=object if _INEXACT.search(kind) or not values else None)


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, those that come again numbered as DuckDB's .df() does."""
    found: list[str] = []
    for name in names:
        tried, number = name, 0
        while tried in found:
            number += 1
            tried = f"{name}_{number}"
        found.append(tried)
    return found
