"""Moments before and after every other, in UTC seconds."""

from __future__ import annotations

ALWAYS = -(2**62)
"""A time before every query: an edge or node that was always there."""
NEVER = 2**62
"""A time after every query."""
