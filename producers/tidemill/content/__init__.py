"""Puts into the content bucket: the data of large requests, and photos."""
