"""The totals of an entity while a batch is folded over it: what is remembered of the analytics stage's windows.

Room: core. Pure; core/stage/totals.py decides what a window adds.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tidemill_consumers.core.batch import Aggregatable, Arrival, Rules, Totals
from tidemill_consumers.core.fitting import fitting_totals
from tidemill_consumers.core.stage.totals import Step, step, window_of


class TotalsJournal(msgspec.Struct, gc=False):
    """The totals of one entity during a fold.

    Attributes:
        before: the entity's, by command.
        now: those that changed.
    """

    before: Mapping[str, Totals]
    now: dict[str, Totals] = msgspec.field(default_factory=dict)

    def step(self, arrival: Arrival) -> Step | str:
        """What follows from a request of the stage; a text says why it must be quarantined."""
        window = window_of(arrival.request, arrival.arrived)
        return window if isinstance(window, str) else step(self._of(arrival.request.cmd), window)

    def note(self, cmd: str, following: Step) -> None:
        """Record what follows from a window of a command."""
        self.now[cmd] = following.totals

    def after(self, rules: Rules) -> Mapping[str, Totals]:
        """The totals after the fold, as many as fit."""
        if not self.now:
            return self.before
        live = {cmd for cmd, rule in rules.items() if isinstance(rule, Aggregatable)}
        return fitting_totals({**self.before, **self.now}, live)

    def _of(self, cmd: str) -> Totals:
        return self.now.get(cmd) or self.before.get(cmd) or Totals()
