"""Firehose on this machine: a delivery stream from Kinesis to S3."""
