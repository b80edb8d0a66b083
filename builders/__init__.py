"""From raw logs to graph directories: reading, mapping, checking, encoding, text and simulated cities."""
