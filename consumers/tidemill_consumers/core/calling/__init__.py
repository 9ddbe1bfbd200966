"""Calling rules: finding a request's rule, asking it, and finding a request whose rule ends the process. Pure."""
