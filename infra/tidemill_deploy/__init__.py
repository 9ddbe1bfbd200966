"""The stack on AWS: its template, its functions' packages, what its stream takes, and how many shards it has."""
