"""The command `tidemill up`."""

from tidemill_cli.commands.up.command import add_arguments, run

__all__ = ["add_arguments", "run"]
