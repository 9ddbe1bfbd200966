"""Measurements beside the cost model: comparison, verdict, a trace hour by hour."""
