"""A stack on AWS: what an update changes, making it, and taking it down without losing a request."""
