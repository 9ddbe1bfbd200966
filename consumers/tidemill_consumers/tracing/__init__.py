"""Spans of the requests that name a sampled trace, and their way to a collector; off by default.

Only this package imports OpenTelemetry, and composition.py imports it only if traces are on.
"""
