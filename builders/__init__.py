"""From raw logs to graph directories: reading, mapping, checking, encoding, text and simulated cities."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
