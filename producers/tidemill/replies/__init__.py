"""Hearing what became of a request."""
