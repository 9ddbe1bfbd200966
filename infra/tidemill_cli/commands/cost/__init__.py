"""The command `tidemill cost`."""

from tidemill_cli.commands.cost.command import add_arguments, run

__all__ = ["add_arguments", "run"]
