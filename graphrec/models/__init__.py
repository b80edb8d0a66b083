"""Models and baselines: what they compute and how they rank."""
