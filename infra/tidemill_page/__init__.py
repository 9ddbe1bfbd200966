"""A stack's figures on one page, served on 127.0.0.1, and as JSON.

Room: page. figures.py is the value that both show; readings.py, answers.py and batches.py read what runs in this
process, reckoning.py makes figures of it, wording.py says them in words.
"""

from tidemill_page.answers import Answered, Answers
from tidemill_page.batches import Batches
from tidemill_page.figures import Figures, QuarantinedObject, as_json
from tidemill_page.readings import Readings
from tidemill_page.reckoning import Reading, Reckoning, ShardReading
from tidemill_page.server.answering import Redrove
from tidemill_page.server.page_server import PageServer

__all__ = [
    "Answered",
    "Answers",
    "Batches",
    "Figures",
    "PageServer",
    "QuarantinedObject",
    "Reading",
    "Readings",
    "Reckoning",
    "Redrove",
    "ShardReading",
    "as_json",
]
