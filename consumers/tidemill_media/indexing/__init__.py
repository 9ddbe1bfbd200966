"""Decides, by values, how the index of contents changes."""
