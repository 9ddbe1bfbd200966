"""Reads the bucket's events and GETs of thumbnails, and decides what they lead to. Values in, values out."""
