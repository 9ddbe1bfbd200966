"""What both sides of the stream agree on: requests, aggregates, lanes, signatures. Pure."""
