"""The command line: one file per command. Imports everything, imported by nothing."""
