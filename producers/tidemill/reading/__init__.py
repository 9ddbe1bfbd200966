"""Reckons for a reader: the cells of a circle on the earth, documents out of items."""
