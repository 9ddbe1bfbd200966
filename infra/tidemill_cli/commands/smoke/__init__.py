"""The command `tidemill smoke`."""

from tidemill_cli.commands.smoke.command import add_arguments, run

__all__ = ["add_arguments", "run"]
