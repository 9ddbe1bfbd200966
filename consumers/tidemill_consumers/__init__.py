"""The consumers: Lambda handlers that apply batches of requests."""
