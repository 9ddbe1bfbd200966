"""From an accepted request to a PutRecords call: numbering, packing, scheduling, reading the answer. Pure."""
