"""Decisions: how a batch changes its entities. Pure: values in, values out."""
