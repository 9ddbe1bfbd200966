"""What a reader reckons: the cells of a circle on the earth, documents out of items."""
