"""Assembly: a graph directory from the parts of a log."""
