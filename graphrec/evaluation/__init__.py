"""Evaluation: per-query metrics, comparison with baselines, queries by place."""
