__all__ = ["TextEncoder", "encode_texts", "load_encoder"]

from .encode import TextEncoder as TextEncoder
from .encode import encode_texts as encode_texts
from .encode import load_encoder as load_encoder
