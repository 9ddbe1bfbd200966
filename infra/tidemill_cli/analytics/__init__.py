"""The analytics stage on this machine: what it needs, from where it goes on, and its process."""

from tidemill_cli.analytics.job import JobDied
from tidemill_cli.analytics.preparing import Prepared, Wanted, prepared, state_folder
from tidemill_cli.analytics.stack import stack_of
from tidemill_cli.analytics.tools import tools

__all__ = ["JobDied", "Prepared", "Wanted", "prepared", "stack_of", "state_folder", "tools"]
