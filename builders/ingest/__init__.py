"""Ingestion: rows checked and stored as a part of the log."""
