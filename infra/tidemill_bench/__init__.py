"""Driving a stack for a load test, the local one or one on AWS: sending, hearing, counting, looking.

Room: local platform, I/O by boto3 clients that are given. What is measured is reckoned in tidemill_load.
"""
