"""Where things stand: the project's folder, and real data beside it, which a checkout need not have."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
NASA = SHARED / "data" / "trace" / "nasa_19950801.tsv"
"""A day of requests to a public web server."""
