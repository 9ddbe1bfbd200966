"""The content bucket, as the functions that apply requests use it."""
