"""The consumers: Lambda handlers that apply batches of requests, and what an application's rules are made of.

An application's tests use `tidemill_consumers.testing`.
"""

from tidemill_consumers.core.batch import Accepted, Emit, Rejected, Rule, Rules, State, Verified

__all__ = ["Accepted", "Emit", "Rejected", "Rule", "Rules", "State", "Verified"]
