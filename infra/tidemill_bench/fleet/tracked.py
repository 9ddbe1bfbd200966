"""The sender of a load test with many producers.

Room: local platform. fleet/sender.py does the I/O.
Tests: tests/infra/tidemill_bench/fleet/test_sender.py.
"""

from __future__ import annotations

import time

from tidemill.errors import StillPending
from tidemill_bench.fleet.sender import Fleet
from tidemill_load.results.request_tracker import Item, RequestTracker


class FleetSender:
    """Sends the items of one part of a load test by a fleet's producers.

    Args:
        tracker: where it is written down.
        fleet: of producers, for this part alone.
    """

    http_requests = 0

    def __init__(self, tracker: RequestTracker, fleet: Fleet) -> None:
        self._tracker = tracker
        self._fleet = fleet

    @property
    def retries(self) -> int:
        """Records that were sent again."""
        return self._fleet.retries

    def send(self, item: Item) -> None:
        """Hand it to its client's producer."""
        request_id, payload = self._fleet.write(item.cmd, key=item.key, data=item.data, client=item.client)
        self._tracker.sending(request_id, item, len(payload), self._fleet.writer(item.client).id)
        self._fleet.send(request_id, payload, key=item.key, client=item.client)
        self._tracker.sent(time.monotonic())
        self._note_given_up()

    def finish(self, seconds: float) -> bool:
        """Have all of it leave; whether it did within so many seconds."""
        try:
            self._fleet.flush(seconds)
        except StillPending:
            return False
        finally:
            self._note_given_up()
        return True

    def close(self) -> None:
        """End; requests that have not left are given up."""
        self._fleet.close()

    def _note_given_up(self) -> None:
        for request_id, why in self._fleet.take_given_up():
            self._tracker.failed(request_id, why)
