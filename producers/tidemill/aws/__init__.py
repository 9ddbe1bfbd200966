"""Additions to botocore: faster JSON, regions, endpoints on this machine, credentials from Cognito."""
