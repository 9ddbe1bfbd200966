"""Requests kept on disk until they are acknowledged."""
