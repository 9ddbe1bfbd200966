"""The command `tidemill destroy`."""

from tidemill_cli.commands.destroy.command import add_arguments, run

__all__ = ["add_arguments", "run"]
