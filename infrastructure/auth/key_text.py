"""What an API key looks like: `gmk_<key_id>_<secret>`. The id finds its row, the secret proves it."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

_KEY = re.compile(r"gmk_(?P<key_id>[0-9a-f]{12})_(?P<secret>[A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class KeyText:
    """A key in the clear. It exists in the answer that creates it and in the caller's hands, nowhere else."""

    key_id: str
    secret: str

    def __str__(self) -> str:
        return f"gmk_{self.key_id}_{self.secret}"

    def __repr__(self) -> str:
        return f"KeyText({self.key_id!r}, ...)"

    @property
    def digest(self) -> str:
        """What the database keeps. The secret has 256 random bits, so one round of SHA-256 is enough."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def matches(self, digest: str) -> bool:
        """True for the digest of this key; the comparison takes the same time for every other."""
        return hmac.compare_digest(self.digest, digest)


def make() -> KeyText:
    """A new key."""
    return KeyText(secrets.token_hex(6), secrets.token_urlsafe(32))


def parse(text: str) -> KeyText | None:
    """Read a key; None for text that is none."""
    match = _KEY.fullmatch(text)
    return KeyText(match["key_id"], match["secret"]) if match else None
