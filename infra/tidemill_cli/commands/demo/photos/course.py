"""The demo's photos on their way: uploaded and published, then one is replaced and one deleted.

Room: command line, I/O. Tests: tests/e2e/test_demo_photos.py.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from tidemill import Producer, Request, UnfitFile
from tidemill_bench.driver import ONCE
from tidemill_cli.commands.demo.photos.agreement import Wanted, disagreements, is_settled
from tidemill_cli.commands.demo.photos.generated import Shot
from tidemill_cli.commands.demo.photos.holdings import Holdings
from tidemill_cli.commands.demo.waiting import Progress
from tidemill_cli.producers import close
from tidemill_cli.terminal_text import printable
from tidemill_load.wording import counted
from tidemill_local.clients import ROOT_KEY

if TYPE_CHECKING:
    from tidemill_local.platform import Platform

OWNERS = ("ann", "ben")
"""Who uploads, in turns."""

MOST_NAMED = 10
"""Files that were not uploaded, or not looked at, and are named."""


class Course:
    """The photos of one demo.

    Args:
        platform: it runs, with Photos=on.
        shots: the files, at least one.

    Attributes:
        refused: the names of the files that are no photos or cannot be read, and why.
        requests: those that publish, with their ids.
        events: how many requests the media function sends.
        wanted: how each content is to be in the end, by its key.
    """

    def __init__(self, platform: Platform, shots: Iterable[Shot]) -> None:
        outputs, session = platform.outputs, platform.emulator.session(ROOT_KEY, ROOT_KEY)
        self._platform = platform
        self._shots = list(shots)
        self._uploaded: list[Shot] = []
        self._bucket = outputs["ContentBucketName"]
        self._s3 = session.client("s3")
        self._holdings = Holdings(platform)
        self._producers = {
            owner: Producer(
                outputs["StreamName"],
                kinesis=session.client("kinesis", ONCE),
                s3=self._s3,
                bucket=self._bucket,
                client=owner,
            )
            for owner in OWNERS
        }
        self.refused: list[tuple[str, str]] = []
        self.requests: list[Request] = []
        self.events = 0
        self.wanted: dict[str, Wanted] = {}

    @property
    def records(self) -> int:
        """Records that publish."""
        return sum(producer.stats().records for producer in self._producers.values())

    @property
    def put_calls(self) -> int:
        """PutRecords calls made."""
        return sum(producer.stats().put_calls for producer in self._producers.values())

    def send(self, say: Callable[[str], None]) -> None:
        """Upload and publish the photos, and say so. What is none stays here, and is not published."""
        for number, shot in enumerate(self._shots):
            key, owner = f"content/photo-{number + 1}", OWNERS[number % len(OWNERS)]
            try:
                self._upload(key, owner, shot)
            except UnfitFile as unfit:
                self.refused.append((shot.name, str(unfit)))
            except OSError as error:
                self.refused.append((shot.name, f"it cannot be read: {error.strerror}"))
            else:
                self._uploaded.append(shot)
                self._publish(key, owner, shot.title)
        say(f"uploaded {counted(len(self.wanted), 'photo')}")
        _name([f"{name}: {why}" for name, why in self.refused], "not uploaded", "file", say)

    def settle(self, say: Callable[[str], None]) -> None:
        """Wait until each content's document has what was done last; says which do not once nothing has moved."""

        def text(left: set[str]) -> str:
            return f"{len(self.wanted) - len(left)} of {counted(len(self.wanted), 'photo')} looked at"

        left = Progress(self._platform.emulator.check, say).until(self._unsettled, operator.not_, text)
        _name([f"{self.wanted[key].title} ({key})" for key in sorted(left)], "not looked at", "photo", say)

    def change(self) -> str:
        """Replace the first photo by one from the middle, and delete the second, if there are so many. Says so."""
        done = "there is no photo to replace"
        for first in list(self.wanted)[:1]:
            replaced, other = self.wanted[first], self._uploaded[len(self._uploaded) // 2]
            self._upload(first, replaced.owner, other._replace(title=replaced.title))
            change = f"the demo replaced its photo by {other.name}"
            self.wanted[first] = self.wanted[first]._replace(change=change)
            done = "replaced a photo"
        for gone in list(self.wanted)[1:2]:
            done += ", and deleted another"
            self._s3.delete_object(Bucket=self._bucket, Key=self.wanted[gone].original)
            self.wanted[gone] = self.wanted[gone]._replace(size=None, change="the demo deleted its photo")
            self.events += 1
        return done

    def disagreements(self, say: Callable[[str], None]) -> list[str]:
        """The disagreements of bucket, table and index, once nothing has moved for long."""

        def look() -> list[str]:
            return disagreements(self.wanted, self._holdings.found(OWNERS))

        progress = Progress(self._platform.emulator.check, say)
        return progress.until(look, operator.not_, lambda found: f"waiting for {found[0]}")

    def _unsettled(self) -> set[str]:
        """Contents whose document does not have what was done last."""
        found = self._holdings.documents()
        return {key for key, one in self.wanted.items() if not is_settled(one, found.get(key))}

    def sheet(self) -> str:
        """The contact sheet."""
        return self._holdings.sheet(self.wanted, self.refused)

    def close(self) -> None:
        """End."""
        for producer in self._producers.values():
            close(producer)

    def _upload(self, key: str, owner: str, shot: Shot) -> None:
        done = self._producers[owner].upload(shot.photo, key=key, with_place=True)
        self.wanted[key] = Wanted(shot.title, owner, done.name, done.bytes)
        self.events += 1

    def _publish(self, key: str, owner: str, title: str) -> None:
        data = {"title": title}
        handle = self._producers[owner].send("content.publish", key=key, data=data)
        self.requests.append(Request(id=handle.id, cmd="content.publish", key=key, client=owner, data=data))


def _name(which: Sequence[str], what: str, noun: str, say: Callable[[str], None]) -> None:
    for one in which[:MOST_NAMED]:
        say(printable(f"{what}: {one}".replace("\n", " ")))
    if len(which) > MOST_NAMED:
        say(f"{what}: {counted(len(which) - MOST_NAMED, f'more {noun}')}")
