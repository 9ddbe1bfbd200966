"""The command `tidemill cost`."""

from tidemill_cli.commands.cost.arguments import add_arguments
from tidemill_cli.commands.cost.command import run

__all__ = ["add_arguments", "run"]
