"""Queries, the protocol that makes them, and their neighbourhoods."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
