"""Mappings: which column plays which role."""
