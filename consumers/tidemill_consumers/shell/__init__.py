"""Doing: each file wraps one AWS service behind a narrow function or two."""
