"""One AWS service a module."""
