"""What the bucket's events mean: notifications, how a photo stands by its document, requests. Values in, values out."""
