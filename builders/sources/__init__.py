"""Sources: files, addresses and databases, read as rows."""
