"""Receiving the replies to requests."""
