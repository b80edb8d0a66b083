"""Pseudonyms of user ids: deterministic per id and key, irreversible without the key."""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass, field

from graphrec.errors import ConfigError
from graphrec.graph.manifest import GraphManifest

VARIABLE = "GRAPHREC_PSEUDONYM_KEY"
"""Environment variable of the key."""
MIN_KEY_BYTES = 16
"""Minimum length of the key."""


@dataclass(frozen=True)
class Key:
    """The secret key of pseudonyms, in memory only and never printed.

    A pseudonym is the first half of an HMAC-SHA256 (RFC 2104), 128 bits in hexadecimal.
    """

    secret: bytes = field(repr=False)
    """The key."""

    def __post_init__(self) -> None:
        if len(self.secret) < MIN_KEY_BYTES:
            raise ConfigError(
                f"{VARIABLE}: a key of at least {MIN_KEY_BYTES} bytes expected, got {len(self.secret)}; "
                "make one with 'openssl rand -hex 32' and keep it in a safe place"
            )

    @staticmethod
    def from_environment() -> Key:
        """The key in ``$GRAPHREC_PSEUDONYM_KEY``; ConfigError if there is none or it is too short."""
        text = os.environ.get(VARIABLE)
        if text is None:
            raise ConfigError(
                f"{VARIABLE}: pseudonyms need a key in this environment variable, but it is not set; "
                f"make one with 'export {VARIABLE}=$(openssl rand -hex 32)' and keep it in a safe place"
            )
        return Key(text.encode("utf-8", "surrogateescape"))

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that identify the key without revealing it."""
        return self._digest("key", "")[:4].hex()

    def pseudonym(self, user: str) -> str:
        """The pseudonym of a user id."""
        return self.name_and_salt(user)[0]

    def name_and_salt(self, user: str) -> tuple[str, str]:
        """A user's pseudonym, and a secret salt of this user for the hashes of other values."""
        digest = self._digest("user", user)
        return digest[:16].hex(), digest[16:].hex()

    def hide(self, text: str) -> str:
        """A keyed hash of any other text that could be guessed, such as the hash of a file."""
        return self._digest("text", text).hex()

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.digest(self.secret, f"{purpose}\0{text}".encode("utf-8", "surrogatepass"), "sha256")

    def check(self, manifest: GraphManifest, where: str) -> None:
        """Raise ConfigError if the graph of this manifest has another key."""
        fingerprint = (manifest.privacy or {}).get("key")
        if fingerprint != self.fingerprint:
            raise ConfigError(
                f"{where}: its pseudonyms were made with the key {fingerprint}, but {VARIABLE} holds "
                f"{self.fingerprint}; set the key of the build"
            )
