"""What a producer puts into the content bucket: the data of large requests, and files."""
