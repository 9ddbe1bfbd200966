"""Running SQL over the archive (and, later, over the stream)."""
