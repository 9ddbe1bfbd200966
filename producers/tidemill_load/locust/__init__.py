"""A Locust user that sends through the stream or calls directly."""
