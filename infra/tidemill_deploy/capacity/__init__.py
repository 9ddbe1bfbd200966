"""What a stream takes: the keys and lanes that fill its shards, and changing how many shards there are."""
