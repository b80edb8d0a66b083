"""Times before and after every query, in UTC seconds."""

TIME_MIN = -(2**62)
"""Before every query: the first-seen time of a node, or the validity start of an edge, without a date."""
TIME_MAX = 2**62
"""After every query: the horizon of a graph that shows all events."""
