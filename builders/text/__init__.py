"""Text: node texts to vectors."""
