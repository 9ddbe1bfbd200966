"""The command `tidemill demo`."""

from tidemill_cli.commands.demo.command import add_arguments, run

__all__ = ["add_arguments", "run"]
