"""Photos decoded in a process apart: thumbnails, and what a file says of itself.

    from tidemill_media.imaging import Made, Unsupported, work

    outcome = work(data, sizes=(1024, 256))

Room: imaging. `apart` is the caller's side and knows no decoder; `serving` is the process that it starts, which forks
for each photo; `making` is what the fork does. kinds, metadata and results are values.
"""

from tidemill_media.imaging.apart import work
from tidemill_media.imaging.results import FORMATS, Made, Place, Thumbnail, Unsupported

__all__ = ["FORMATS", "Made", "Place", "Thumbnail", "Unsupported", "work"]
