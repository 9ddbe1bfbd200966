"""Isolation from rules that loop or end the process: time limits, separate processes, notes of progress."""
