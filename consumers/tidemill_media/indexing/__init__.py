"""What changes in the index of contents, as decisions about values."""
