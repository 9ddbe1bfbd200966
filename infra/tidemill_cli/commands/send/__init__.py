"""The command `tidemill send`."""

from tidemill_cli.commands.send.command import add_arguments, run

__all__ = ["add_arguments", "run"]
