"""Engines: DuckDB and Spark behind one interface."""
