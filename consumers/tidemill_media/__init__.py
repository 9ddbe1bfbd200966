"""The media-sharing application's functions: what reacts to events beside the stream of requests.

Its rules are in tidemill_consumers.media. All modules are internal and may change.
"""
