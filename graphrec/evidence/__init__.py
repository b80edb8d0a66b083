"""Why this item: the score taken apart, how attention flows, what if, and whether that is so."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
