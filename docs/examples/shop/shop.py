"""A shop's rules: items have stock, customers reserve it. Pure functions of a document and a request.

Keys: `item/<number>` has an item's stock and who reserved it, `user/<client>` has a customer's orders.
"""

from __future__ import annotations

from typing import Any

from tidemill_consumers import Accepted, Emit, Rejected, Request, Rules, State, Verified

MAX_NAME = 100
"""Characters of a customer's or an order's name."""


def restock(state: State, request: Request) -> Accepted | Rejected:
    """More of an item has come: `count` pieces."""
    count = request.data.get("count")
    if not _is_count(count):
        return Rejected("count: a whole number above 0")
    item = _item(state)
    return Accepted({**item, "stock": item["stock"] + count}, {"stock": item["stock"] + count})


def reserve(state: State, request: Request) -> Accepted | Rejected:
    """Put `count` pieces aside for an `order`, and have the customer's own document list it."""
    order, count = request.data.get("order"), request.data.get("count")
    if not _is_name(order) or not _is_name(request.client):
        return Rejected(f"order and client: 1 to {MAX_NAME} characters")
    if not _is_count(count):
        return Rejected("count: a whole number above 0")
    item = _item(state)
    if order in item["reserved"]:
        return Rejected(f"{order} is reserved already")
    if item["stock"] < count:
        return Rejected("sold out")
    reserved = {**item["reserved"], order: {"client": request.client, "count": count}}
    return Accepted(
        {"stock": item["stock"] - count, "reserved": reserved},
        {"left": item["stock"] - count},
        emits=(Emit("user.reserved", f"user/{request.client}", {"order": order, "item": request.key, "count": count}),),
    )


def cancel(state: State, request: Request) -> Accepted | Rejected:
    """Give up an `order` of one's own: its pieces are for sale again."""
    item, order = _item(state), request.data.get("order")
    reservation = item["reserved"].get(order)
    if reservation is None:
        return Rejected("there is no such order")
    if reservation["client"] != request.client:
        return Rejected("it is another customer's order")
    reserved = {name: one for name, one in item["reserved"].items() if name != order}
    stock = item["stock"] + reservation["count"]
    return Accepted(
        {"stock": stock, "reserved": reserved},
        {"left": stock},
        emits=(Emit("user.cancelled", f"user/{request.client}", {"order": order}),),
    )


def list_order(state: State, request: Request) -> Accepted | Rejected:
    """The shop's own word: the customer has a reservation."""
    orders = (state or {}).get("orders", {})
    entry = {"item": request.data["item"], "count": request.data["count"]}
    return Accepted({"orders": {**orders, request.data["order"]: entry}})


def unlist_order(state: State, request: Request) -> Accepted | Rejected:
    """The shop's own word: the customer has given a reservation up."""
    orders = (state or {}).get("orders", {})
    return Accepted({"orders": {name: one for name, one in orders.items() if name != request.data["order"]}})


RULES: Rules = {
    "item.restock": restock,
    "item.reserve": reserve,
    "item.cancel": cancel,
    "user.reserved": Verified(list_order),  # only what the rules above emit; a customer who sends it is quarantined
    "user.cancelled": Verified(unlist_order),
}


def _item(state: State) -> dict[str, Any]:
    return state or {"stock": 0, "reserved": {}}


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME
