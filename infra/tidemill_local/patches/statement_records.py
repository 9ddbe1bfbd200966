"""Records of a table's stream for what PartiQL statements change.

Room: local platform; fitted into the emulator by `install`. The emulator writes such records for PutItem, UpdateItem
and DeleteItem alone; the apply function saves entities by statements.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeAlias

from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Callable

Item: TypeAlias = "dict[str, Any]"

Change: TypeAlias = "Callable[..., tuple[int, Any, Any]]"
"""Does a statement on a table, and answers with a status first."""

Tell: TypeAlias = "Callable[[str, str, Item | None, Item | None], None]"
"""Writes the record of a change: the table's name, what happened, the item before and after."""

Find: TypeAlias = "Callable[[Any, Any], Item | None]"
"""The item of a table that a statement is about."""


def install() -> None:
    """Have a table's stream tell what statements change.

    Needs of the emulator:
        dynamodb._partiql_insert, dynamodb._partiql_update, dynamodb._partiql_delete: do a statement.
        dynamodb._partiql_key_target: the keys of the item that a statement is about.
        dynamodb._extract_key_val: a key's value, as items are kept by.
        dynamodb._emit_stream_event: writes a record.
    """
    from ministack.services import dynamodb

    require(dynamodb, "_partiql_insert", "_partiql_update", "_partiql_delete")
    require(dynamodb, "_partiql_key_target", "_extract_key_val", "_emit_stream_event")

    def of_keys(table: Any, parsed: Any) -> Item | None:
        pk, sk, _, error = dynamodb._partiql_key_target(table, parsed)
        return None if error else kept(table, pk, sk)

    def of_new(table: Any, parsed: Any) -> Item | None:
        item = parsed.get("item", {})
        item = item["M"] if set(item) == {"M"} else item
        sort = table["sk_name"]
        sk = dynamodb._extract_key_val(item.get(sort)) if sort else "__no_sort__"
        return kept(table, dynamodb._extract_key_val(item.get(table["pk_name"])), sk)

    tell = dynamodb._emit_stream_event
    dynamodb._partiql_insert = told(dynamodb._partiql_insert, of_new, tell)
    dynamodb._partiql_update = told(dynamodb._partiql_update, of_keys, tell)
    dynamodb._partiql_delete = told(dynamodb._partiql_delete, of_keys, tell)


def kept(table: Any, pk: Any, sk: Any) -> Item | None:
    """A copy of a table's item of these keys, as it is now."""
    found: Item | None = table["items"].get(pk, {}).get(sk)
    return copy.deepcopy(found)


def told(change: Change, find: Find, tell: Tell) -> Change:
    """The statement, with a record of what it changed."""

    def put_right(table: Any, parsed: Any, *rest: Any) -> tuple[int, Any, Any]:
        before = find(table, parsed)
        answer = change(table, parsed, *rest)
        after = find(table, parsed)
        if answer[0] == 200 and (happened := event(before, after)):
            tell(table["TableName"], happened, before, after)
        return answer

    return put_right


def event(before: Item | None, after: Item | None) -> str:
    """The name of an item's change; empty if it did not change."""
    if before == after:
        return ""
    if before is None:
        return "INSERT"
    return "REMOVE" if after is None else "MODIFY"
