"""Which producer of a fleet sends a client's requests.

Room: local platform, pure.
"""

from __future__ import annotations


class Spread:
    """Deals clients out to producers, one after the other, in the order in which they are first met.

    With as many clients as producers, each client has a producer of its own.

    Args:
        producers: how many there are.
    """

    __slots__ = ("_numbers", "_producers")

    def __init__(self, producers: int) -> None:
        self._producers = producers
        self._numbers: dict[str, int] = {}

    def of(self, client: str) -> int:
        """The number of the client's producer, from 0."""
        number = self._numbers.get(client)
        if number is None:
            number = self._numbers[client] = len(self._numbers) % self._producers
        return number

    @property
    def busy(self) -> int:
        """Producers that have a client."""
        return min(len(self._numbers), self._producers)
