"""What a user's interest was and how it moved: themes, changes, places, forecasts, words, cohorts."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
