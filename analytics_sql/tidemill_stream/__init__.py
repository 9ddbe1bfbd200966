"""The analytics stage: which Flink SQL it runs for an application's rules, and its program for PyFlink.

Needs nothing but Python, and main.py PyFlink: here and on Amazon Managed Service for Apache Flink it runs in an
environment that has no other part of Tidemill. The SQL itself is in analytics_sql/stream.
"""

from tidemill_stream.settings import FLINK_GROUP, GROUP, STAGES, InvalidSettings, Settings
from tidemill_stream.statements import Statements, statements_of

__all__ = ["FLINK_GROUP", "GROUP", "STAGES", "InvalidSettings", "Settings", "Statements", "statements_of"]
