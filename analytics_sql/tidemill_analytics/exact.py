"""Makes data frames with exact numbers from SQL results: DuckDB's own frames turn the largest types into floats.

Room: analytics.

| type of SQL | in the frame |
|---|---|
| HUGEINT (every sum of integers), UHUGEINT, BIGNUM | int64; Python's int where one does not fit |
| DECIMAL | Python's Decimal |
| lists and structs of these | Python's own |
| others | as in DuckDB's .df() |
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
"""The types, or parts of types, that DuckDB returns as floats or not at all."""


def frame(answered: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The result of the executed statement as a data frame."""
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

    if kind == "BIGNUM":  # DuckDB returns it as text
        values = [None if value is None else int(value) for value in values]
    if _INTEGER.fullmatch(kind) and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pd.Series(values, dtype="Int64" if None in values else "int64")
    return pd.Series(values, dtype=object if _INEXACT.search(kind) or not values else None)


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, with repeated ones numbered as by DuckDB's .df()."""
    found: list[str] = []
    for name in names:
        tried, number = name, 0
        while tried in found:
            number += 1
            tried = f"{name}_{number}"
        found.append(tried)
    return found
