"""What is asked: queries, the protocol that asks them, and their neighbourhoods."""
