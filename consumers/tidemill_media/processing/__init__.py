"""What the bucket's events mean, and GETs of thumbnails, and what they lead to. Values in, values out."""
