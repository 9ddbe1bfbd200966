"""Calls, write units, delay and dollars for a rate and its settings. Pure arithmetic."""
