"""One module or package a command, each with `add_arguments` and `run`."""
