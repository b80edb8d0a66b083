"""Evaluation: per-query metrics, comparison with baselines, queries by place."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
