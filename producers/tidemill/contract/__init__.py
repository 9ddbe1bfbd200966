"""The contract between both sides of the stream: requests, aggregates, lanes, signatures. Pure."""
