"""The media-sharing application's functions: what reacts to events beside the stream of requests, and to GETs.

Its rules are in tidemill_consumers.media. All modules are internal and may change.
"""
