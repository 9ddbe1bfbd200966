"""The command `tidemill package`."""

from tidemill_cli.commands.package.command import add_arguments, run

__all__ = ["add_arguments", "run"]
