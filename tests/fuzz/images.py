"""Damages photos of every kind, and holds that nothing ends but the process that decodes the photo.

Each mutant is made or unsupported, within the limits on memory and time; the process that forks is the same at the end.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable

from tests.consumers.tidemill_media.imaging.photos import damaged, samples
from tidemill_media.imaging.apart import Server, judged
from tidemill_media.imaging.limits import CPU_SECONDS
from tidemill_media.imaging.results import Ending, Job, Made

MOST_BYTES = 512_000_000
PROGRESS = 2_000
JOB = Job((256, 64), ("webp", "jpeg"))
MADE, REFUSED, ENDED = "made", "unsupported", "whose process was ended"


class Wrong(Exception):
    """A mutant that did more than end its own process."""


def check(mutants: int, seed: int, say: Callable[[str], None] = lambda text: None) -> Counter[str]:
    """Damage so many photos, and count what became of them.

    Raises:
        Wrong: the process that forks was ended, or the limits did not hold.
    """
    chance, originals = random.Random(seed), samples()
    count: Counter[str] = Counter()
    start = time.monotonic()
    server = Server()
    try:
        first = server.process_id()
        for number in range(1, mutants + 1):
            ending, written = server.ask(JOB, damaged(chance.choice(originals), chance))
            count[_fate(number, ending, written)] += 1
            if number % PROGRESS == 0:
                say(f"  {number:>9,} photos, {count[MADE]:,} made, {time.monotonic() - start:.0f} s")
        if server.process_id() != first:
            raise Wrong("the process that forks was ended")
    finally:
        server.close()
    return count


def _fate(number: int, ending: Ending, written: bytes) -> str:
    if ending.peak > MOST_BYTES or ending.seconds > CPU_SECONDS + 1:
        raise Wrong(f"photo {number} took {ending.peak:,} bytes and {ending.seconds:.1f} s")
    if isinstance(judged(ending, written), Made):
        return MADE
    return ENDED if ending.status else REFUSED
