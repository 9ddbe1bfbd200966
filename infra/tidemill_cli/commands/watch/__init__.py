"""The command `tidemill watch`."""

from tidemill_cli.commands.watch.command import add_arguments, run

__all__ = ["add_arguments", "run"]
