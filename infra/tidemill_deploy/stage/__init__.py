"""The analytics stage on AWS: its package, and the application of Managed Flink that runs it."""
