"""Files that need no decoder, and what stands in for the process that decodes them.

What a file comes to follows from its text alone, as it does with real ones. While one is decoded its function may end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from tests.simulation.world import Crash, World
from tidemill_media.imaging import FORMATS, Made, Thumbnail, Unsupported
from tidemill_media.imaging.results import Place


class File(msgspec.Struct, frozen=True):
    """A photo's file: a number that no other has, what it is, its sides in pixels, and where it was taken."""

    number: int
    kind: Literal["photo", "video", "bomb"] = "photo"
    width: int = 640
    height: int = 480
    place: tuple[float, float] | None = None

    @property
    def data(self) -> bytes:
        """Its bytes."""
        return msgspec.json.encode(self)


@dataclass
class Decoder:
    """The process that decodes, as `tidemill_media.imaging.work`."""

    world: World

    def __post_init__(self) -> None:
        self.begun: Counter[int] = Counter()
        """How often each file was begun, by its number."""
        self.ended: Counter[int] = Counter()
        """How often the function ended amid that."""

    def __call__(self, data: bytes, sizes: Sequence[int], formats: Sequence[str] = FORMATS) -> Made | Unsupported:
        """What comes of a file."""
        world, file = self.world, msgspec.json.decode(data, type=File)
        self.begun[file.number] += 1
        world.sleep(world.random.uniform(0.01, 0.5))
        if world.strikes("function ended amid decoding", 0.5):
            self.ended[file.number] += 1
            raise Crash
        if file.kind != "photo":
            return Unsupported(f"{file.kind}s are not shown")
        thumbnails = [self._thumbnail(file, size, extension) for size in sizes for extension in formats]
        place = Place(*file.place) if file.place else None
        return Made("JPEG", file.width, file.height, None, None, place, tuple(thumbnails))

    def _thumbnail(self, file: File, size: int, extension: str) -> Thumbnail:
        share = min(1.0, size / max(file.width, file.height))
        width, height = (max(1, round(side * share)) for side in (file.width, file.height))
        return Thumbnail(size, width, height, f"image/{extension}", f"{file.number} at {size} as {extension}".encode())
