"""The shop's rules, tried with pytest alone: no stream, no table, no process."""

from __future__ import annotations

from shop import RULES

from tidemill_consumers.testing import Trial


def a_shop(stock: int) -> Trial:
    return Trial(RULES, {"item/42": {"stock": stock, "reserved": {}}})


def test_what_came_can_be_reserved() -> None:
    shop = Trial(RULES)
    assert shop.send("item.restock", key="item/42", data={"count": 5}).data == {"stock": 5}
    reserved = shop.send("item.reserve", key="item/42", data={"order": "o-1", "count": 2}, client="ada")
    assert (reserved.status, reserved.data) == ("accepted", {"left": 3})
    assert shop.document("item/42") == {"stock": 3, "reserved": {"o-1": {"client": "ada", "count": 2}}}


def test_the_customers_document_lists_the_order() -> None:
    shop = a_shop(1)
    shop.send("item.reserve", key="item/42", data={"order": "o-1", "count": 1}, client="ada")
    assert shop.document("user/ada") == {"orders": {"o-1": {"item": "item/42", "count": 1}}}


def test_the_last_one_is_sold_once() -> None:
    shop = a_shop(1)
    shop.send("item.reserve", key="item/42", data={"order": "o-1", "count": 1}, client="ada")
    late = shop.send("item.reserve", key="item/42", data={"order": "o-2", "count": 1}, client="bob")
    assert (late.status, late.error) == ("rejected", "sold out")
    assert late.emits == ()


def test_an_order_is_reserved_once() -> None:
    shop = a_shop(5)
    shop.send("item.reserve", key="item/42", data={"order": "o-1", "count": 1}, client="ada")
    again = shop.send("item.reserve", key="item/42", data={"order": "o-1", "count": 1}, client="ada")
    assert again.error == "o-1 is reserved already"


def test_who_cancels_gives_back() -> None:
    shop = a_shop(5)
    shop.send("item.reserve", key="item/42", data={"order": "o-1", "count": 2}, client="ada")
    assert shop.send("item.cancel", key="item/42", data={"order": "o-1"}, client="ada").data == {"left": 5}
    assert shop.document("item/42") == {"stock": 5, "reserved": {}}
    assert shop.document("user/ada") == {"orders": {}}


def test_nobody_cancels_anothers_order() -> None:
    shop = a_shop(5)
    shop.send("item.reserve", key="item/42", data={"order": "o-1", "count": 2}, client="ada")
    refused = shop.send("item.cancel", key="item/42", data={"order": "o-1"}, client="eve")
    assert refused.error == "it is another customer's order"
    assert (
        shop.send("item.cancel", key="item/42", data={"order": "o-2"}, client="ada").error == "there is no such order"
    )


def test_what_makes_no_sense_is_rejected() -> None:
    shop = a_shop(5)
    for count in (0, -1, 1.5, True, "2", None):
        refused = shop.send("item.reserve", key="item/42", data={"order": "o-1", "count": count}, client="ada")
        assert refused.error == "count: a whole number above 0"
        assert shop.send("item.restock", key="item/42", data={"count": count}).error == refused.error
    for order, client in (("", "ada"), (7, "ada"), ("o-1", None), ("o" * 101, "ada")):
        refused = shop.send("item.reserve", key="item/42", data={"order": order, "count": 1}, client=client)
        assert refused.error == "order and client: 1 to 100 characters"


def test_a_customer_cannot_write_their_own_orders() -> None:
    shop = Trial(RULES)
    forged = shop.send(
        "user.reserved", key="user/ada", data={"order": "o-1", "item": "item/42", "count": 9}, client="ada"
    )
    assert forged.status == "quarantined"
    assert shop.document("user/ada") is None
