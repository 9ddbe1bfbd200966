"""The command `tidemill bench`."""

from tidemill_cli.commands.bench.arguments import add_arguments
from tidemill_cli.commands.bench.command import run

__all__ = ["add_arguments", "run"]
