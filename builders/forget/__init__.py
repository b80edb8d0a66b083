"""Forgetting: a user deleted from a graph and its runs."""
