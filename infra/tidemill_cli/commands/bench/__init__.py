"""The command `tidemill bench`."""

from tidemill_cli.commands.bench.command import add_arguments, run

__all__ = ["add_arguments", "run"]
