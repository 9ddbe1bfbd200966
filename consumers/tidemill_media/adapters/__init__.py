"""The services that the media application's functions read and write: one AWS service a module."""
