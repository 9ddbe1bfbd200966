"""People who upload photos, publish what they show, change and delete both, and look at the index; and what they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.simulation.clients import Client
from tests.simulation.photos.decoder import File
from tests.simulation.photos.functions import Functions
from tests.simulation.photos.history import SLOWEST
from tidemill.contract.content_index import MANIFEST, order, read_manifest, read_page
from tidemill.contract.places import index_folder, photo_name

ACTS = {
    "upload": 11,
    "upload in haste": 1,
    "upload again": 2,
    "delete": 2,
    "delete for good": 2,
    "ask": 6,
    "publish": 8,
    "update": 2,
    "view": 2,
    "content.delete": 1,
}
"""How often each is done, of 37 times."""

HASTY = 6
"""Uploads of somebody who cannot decide, some seconds apart: each is listed while there is another already."""

SHOT_SOMEWHERE = 0.5
"""Share of photos whose files say where they were taken."""

KINDS: dict[Any, int] = {"photo": 8, "video": 1, "bomb": 1}

PATIENCE = (0.0, 0.1, 1.0)
"""Between reading the manifest of an index and its pages, of which some may have been replaced meanwhile: shares of the
time for which these are sure to stay."""


@dataclass
class People:
    """All who use the application.

    Args:
        functions: the functions.
        clients: the people, each with a producer; an identity is its producer's name.
        keys: of the contents that they are about.
    """

    functions: Functions
    clients: Sequence[Client]
    keys: Sequence[str]
    sent: list[str] = field(default_factory=list)
    """Ids of their requests."""
    misread: list[str] = field(default_factory=list)
    """What somebody saw in the index that must not be."""
    _files: int = 0
    _last: dict[str, bytes] = field(default_factory=dict)

    def act(self) -> None:
        """Have one of them do something."""
        chance = self.functions.world.random
        client, key = chance.choice(self.clients), chance.choice(self.keys)
        act = chance.choices([*ACTS], [*ACTS.values()])[0]
        name = photo_name(client.id, key)
        if act == "upload":
            self.upload(name)
        elif act == "upload in haste":
            for seconds in range(HASTY):
                self.functions.world.after(2.0 * seconds, partial(self.upload, name))
        elif act == "upload again":
            self.upload(name, self._last.get(name))
        elif act == "delete":
            # Of a name that is not there it makes a delete marker too.
            self.functions.storage.delete(name)
        elif act == "delete for good":
            self.delete_for_good(name)
        elif act == "ask":
            self.functions.ask(key)
        elif act in ("publish", "update"):
            self.send(client, f"content.{act}", key, {"title": f"{act} {len(self.sent)}"})
        else:
            self.send(client, "content.view" if act == "view" else act, key, {})

    def upload(self, name: str, data: bytes | None = None) -> None:
        """Upload a new file, or the bytes of one that was uploaded before."""
        chance = self.functions.world.random
        if data is None:
            self._files += 1
            kind = chance.choices([*KINDS], [*KINDS.values()])[0]
            place = (self._files / 100, -self._files / 50) if chance.random() < SHOT_SOMEWHERE else None
            data = File(self._files, kind, chance.randint(1, 4_000), chance.randint(1, 4_000), place).data
        self._last[name] = data
        self.functions.storage.put(name, data, {"place": chance.choice(["yes", "no"])})

    def delete_for_good(self, name: str) -> None:
        """Delete a version, or a delete marker, so that what was before it is the photo again."""
        versions = self.functions.storage.versions.get(name, [])
        if versions:
            one = self.functions.world.random.choice(versions)
            # What is current is deleted so by operators alone, and not while it is looked at.
            if one is not versions[-1] or not self.functions.unfinished[one.padded]:
                self.functions.storage.delete(name, one.id)

    def send(self, client: Client, cmd: str, key: str, data: dict[str, Any]) -> None:
        """Have somebody send a request."""
        self.sent.append(client.send(cmd, key, data))

    def look(self) -> None:
        """Have somebody read an index: the manifest, and its pages some time later, as they were listed."""
        world = self.functions.world
        folder = index_folder(world.random.choice([None, *[client.id for client in self.clients]]))
        bodies = self.functions.storage.bodies(folder)
        if folder + MANIFEST in bodies:
            manifest = read_manifest(bodies[folder + MANIFEST])
            names = [page.name for page in manifest.pages]
            stay = self.functions.grace / 1000 - SLOWEST
            world.after(world.random.choice(PATIENCE) * stay, lambda: self._read(folder, names))

    def _read(self, folder: str, names: Sequence[str]) -> None:
        bodies = self.functions.storage.bodies(folder)
        if missing := [name for name in names if folder + name not in bodies]:
            self.misread.append(f"{folder}: {len(missing)} pages were gone")
            return
        entries = [entry for name in names for entry in read_page(bodies[folder + name])]
        positions = [order(entry.position) for entry in entries]
        if positions != sorted(set(positions)):
            self.misread.append(f"{folder}: out of order")
        if len({entry.key for entry in entries}) < len(entries):
            self.misread.append(f"{folder}: a content is listed twice")
