"""The rules of the orders: a request changes one line of an order, so its prices, quantities and text differ each time.

Documents have about 400 bytes as JSON, in which some text is not ASCII.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tidemill.contract.request import Document, Request
from tidemill_consumers import Accepted, Rejected, State

CHANGE = "order.change"
CHANGED = ("lines", "total", "note", "changes")
"""The attributes of the document that a change sets."""

LINES = 2
NOTES = (
    "Bitte beim Nachbarn klingeln: Hinterhaus, 3. Etage",
    "Paketschlüssel liegt unter der Fußmatte",
    "お届けは午後にお願いします",
    "Leave it at the door, please: nobody is in before six",
)
NAMES = (
    "Bücherregal „Kiefer“, 80 cm",
    "Stehlampe Ø 40 cm, weiß",
    "Sofakissen, grün",
    "Table basse en chêne",
    "Desk, white",
)


def change(state: State, request: Request) -> Accepted | Rejected:
    """Change the price and quantity of one line, and the note; the first change of an order opens it."""
    return Accepted(changed(state or OPENED, request.data))


def changed(order: Document, data: Document) -> Document:
    """The order after the change; the given one stays as it is."""
    lines = list(order["lines"])
    lines[data["line"]] = {**lines[data["line"]], "price": data["price"], "quantity": data["quantity"]}
    total = round(sum([line["price"] * line["quantity"] for line in lines]), 2)
    return {**order, "lines": lines, "total": total, "note": data["note"], "changes": order["changes"] + 1}


def change_of(random: Random) -> Document:
    """The data of a request, which hardly ever come twice."""
    return {
        "line": random.randrange(LINES),
        "price": random.randrange(100, 100_000) / 100,
        "quantity": random.randrange(1, 9),
        "note": f"{random.choice(NOTES)} ({random.randrange(10_000)})",
    }


def order(rank: int) -> Document:
    """An order as earlier batches left it."""
    random = Random(rank)
    lines: list[Any] = [
        {"name": name, "quantity": 1, "price": random.randrange(10**5) / 100} for name in random.sample(NAMES, LINES)
    ]
    return {
        "customer": f"Åsa Grün-Strömberg {rank}",
        "address": "Äußere Kanalstraße 112, Köln",
        "status": "open",
        "lines": lines,
        "total": round(sum([line["price"] for line in lines]), 2),
        "note": NOTES[rank % len(NOTES)],
        "delivery": "zwischen 9 und 12 Uhr, sonst Abholung im Geschäft",
        "tags": ["eilig", "Geschenk"],
        "changes": 7,
    }


OPENED = order(0)
"""An order at its first change."""

RULES = {CHANGE: change}
