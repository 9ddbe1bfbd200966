"""Computes calls, write units, delay and dollars for a request rate and its settings. Pure arithmetic."""
