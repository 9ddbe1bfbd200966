"""Running the stack on AWS: what its stream takes, and how many shards it has."""
