"""The public keys an issuer signs its tokens with: read over HTTP, kept, and read again when it changes them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import httpx
import jwt

from core.errors import IdentityUnavailable

_FRESH = 6 * 3600.0  #: seconds after which keys are read again
_PAUSE = 30.0  #: an unknown key id makes us ask at most this often, whoever invents them
_LARGEST = 1 << 20


class SigningKeys:
    """The keys behind one address."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at: float | None = None
        self._asked_at: float | None = None
        self._asking = threading.Lock()

    def find(self, kid: str) -> jwt.PyJWK | None:
        """The key of that id; None when the issuer publishes none. Raises IdentityUnavailable at first.

        Whose key is known never waits for the issuer, except the one who asks it.
        """
        known = self._keys.get(kid)
        stale = self._read_at is None or self._clock() - self._read_at > _FRESH
        if (stale or known is None) and self._asking.acquire(blocking=known is None):
            try:
                self._ask(kid)
            finally:
                self._asking.release()
        if self._read_at is None:
            raise IdentityUnavailable(hint="Try again in a moment.")
        return self._keys.get(kid)

    def _ask(self, kid: str) -> None:
        """Read the keys again, unless that was done lately, maybe while we waited for our turn."""
        now = self._clock()
        stale = self._read_at is None or now - self._read_at > _FRESH
        asked_lately = self._asked_at is not None and now - self._asked_at < _PAUSE
        if (stale or kid not in self._keys) and not asked_lately:
            self._refresh(now)

    def _refresh(self, now: float) -> None:
        self._asked_at = now
        try:
            response = httpx.get(self._url, timeout=5, follow_redirects=False)
            response.raise_for_status()
            if len(response.content) > _LARGEST:
                raise ValueError("too large")
            found = jwt.PyJWKSet.from_dict(response.json())
        except (httpx.HTTPError, ValueError, TypeError, AttributeError, jwt.PyJWTError) as e:
            if self._read_at is None:
                raise IdentityUnavailable(
                    f"The signing keys of the identity provider cannot be read: {type(e).__name__}.",
                    hint="Try again in a moment.",
                ) from e
            return  # the keys we have go on working
        self._keys = {key.key_id: key for key in found.keys if key.key_id and key.key_type == "RSA"}
        self._read_at = now
