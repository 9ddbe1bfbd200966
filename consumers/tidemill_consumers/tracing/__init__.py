"""The apply function with traces: a span for each request that names its trace."""
