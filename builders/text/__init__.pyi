__all__ = ["TextEncoder", "encode_texts", "load_encoder"]

from .encode import TextEncoder as TextEncoder, encode_texts as encode_texts, load_encoder as load_encoder
