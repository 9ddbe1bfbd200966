"""A load test's results: the file, the request tracker, the faults and the limits to keep."""
