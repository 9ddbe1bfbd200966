"""Requests to send and when: synthetic, from a trace, or hostile."""
