"""The temporal graph: nodes, events, relations, as of a time."""
