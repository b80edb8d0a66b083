"""Training: the loop, checkpoints, closed forms."""
