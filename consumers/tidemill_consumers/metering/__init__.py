"""The functions with a meter of write units and calls, for load tests."""
