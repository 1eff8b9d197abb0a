"""Whose API key is this? The operator's own, or one in the database."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from core.contracts.principals import Principal
from core.errors import Unauthenticated
from core.models.access import ApiKey
from infrastructure.auth import key_text
from infrastructure.auth.key_text import KeyText

_REMEMBERED = timedelta(seconds=5)  #: for so long a process may honour a key that another one revoked
_USE_WRITTEN = timedelta(seconds=60)  #: a key's use is written once in this time
_MOST = 10_000
_NOBODY = "0" * 64


class KeyStore(Protocol):
    """Where keys are kept."""

    def find(self, key_id: str) -> ApiKey | None:
        """The key of that id, revoked or not."""
        ...

    def touch(self, used: Mapping[str, datetime]) -> None:
        """Remember when keys were last used."""
        ...


class KeyRing:
    """Checks keys. `fixed` are those that settings give, kept as SHA-256 only."""

    def __init__(
        self,
        fixed: Mapping[str, Principal],
        store: KeyStore | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._fixed = {hashlib.sha256(key.encode()).digest(): principal for key, principal in fixed.items()}
        self._store = store
        self._clock = clock
        self._known: dict[str, tuple[datetime, ApiKey | None]] = {}
        self._written: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def identify(self, given: str) -> Principal:
        """The owner of the key. Raises Unauthenticated in the same words for every key that does not work."""
        digest = hashlib.sha256(given.encode()).digest()
        found = [owner for known, owner in self._fixed.items() if hmac.compare_digest(known, digest)]
        if found:
            return found[0]
        text = key_text.parse(given)
        key = self._key(text) if text else None
        if key is None:
            raise Unauthenticated(
                "The API key is not valid.", hint="It may be mistyped, revoked or expired. Ask an admin for another."
            )
        return Principal(key.name, frozenset(key.roles), key.client_id, credential=f"key {key.key_id}", limited=True)

    def unfamiliar(self, given: str) -> bool:
        """True for what looks like a key of the database and was not found to be one before."""
        text = key_text.parse(given)
        if text is None:
            return False
        with self._lock:
            known = self._known.get(text.key_id)
        return known is None or known[1] is None or not text.matches(known[1].digest)

    def forget(self, key_id: str) -> None:
        """Read a key anew at its next use."""
        with self._lock:
            self._known.pop(key_id, None)

    def _key(self, text: KeyText) -> ApiKey | None:
        now = self._clock()
        key = self._read(text.key_id, now)
        matches = text.matches(key.digest if key else _NOBODY)
        if key is None or not matches or key.revoked_at is not None or (key.expires_at and key.expires_at <= now):
            return None
        self._use(key.key_id, now)
        return key

    def _read(self, key_id: str, now: datetime) -> ApiKey | None:
        if self._store is None:
            return None
        with self._lock:
            known = self._known.get(key_id)
        if known and now - known[0] < _REMEMBERED:
            return known[1]
        key = self._store.find(key_id)
        with self._lock:
            if len(self._known) >= _MOST:  # with ids that somebody made up
                self._known = {known_id: kept for known_id, kept in self._known.items() if kept[1] is not None}
            self._known[key_id] = (now, key)
        return key

    def _use(self, key_id: str, now: datetime) -> None:
        assert self._store is not None  # the key came from it
        with self._lock:
            if now - self._written.get(key_id, datetime.min.replace(tzinfo=UTC)) < _USE_WRITTEN:
                return
            self._written[key_id] = now
        self._store.touch({key_id: now})
