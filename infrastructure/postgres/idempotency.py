"""Keys by which callers mark a call as the same one, and what it was answered."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from pydantic import JsonValue

from core.errors import CallInProgress, Conflict
from infrastructure.postgres.pool import Pool, connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("idempotency")
_HELD = timedelta(minutes=5)  #: longer than any call may take: then its process is gone


@dataclass(frozen=True)
class StoredAnswer:
    """What the first call was answered."""

    status: int
    answer: Mapping[str, JsonValue]


@dataclass
class MarkedCall:
    """A call with a key. With `known` it was answered before; else the caller says here what it is answered."""

    known: StoredAnswer | None = None
    answered: StoredAnswer | None = None


class IdempotencyKeys:
    """Keys over a pool, each belonging to a client."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @contextmanager
    def call(self, client_id: str, key: str, digest: str) -> Iterator[MarkedCall]:
        """Carry a call out once. A call that ends without an answer leaves its key free.

        Raises Conflict for another request's key, CallInProgress while another call with the same key is carried out.
        """
        values = {"client_id": client_id, "key": key, "digest": digest, "holder": secrets.token_hex(16)}
        call = MarkedCall(self._begin(values))
        try:
            yield call
        finally:
            if call.known is None:
                self._end(values, call.answered)

    def forget(self, days: float = 7.0) -> int:
        """Remove keys so old that nobody repeats their calls; how many."""
        with connection(self._pool) as conn:
            return conn.execute(_SQL["forget"], {"days": days}).rowcount

    def _begin(self, values: Mapping[str, object]) -> StoredAnswer | None:
        key = values["key"]
        with connection(self._pool) as conn:
            row = conn.execute(_SQL["begin"], {**values, "held": _HELD}).fetchone()
        assert row is not None  # inserted, or there
        digest, status, answer, holder = row
        if digest != values["digest"]:
            raise Conflict(
                f"Idempotency-Key {key!r} was sent with another request.", hint="Make a new key for a new request."
            )
        if answer is not None:
            return StoredAnswer(status, answer)
        if holder != values["holder"]:
            raise CallInProgress(
                f"A call with Idempotency-Key {key!r} is being carried out.",
                hint="Send it again in a moment: it will get the answer of the first.",
            )
        return None

    def _end(self, values: Mapping[str, object], answered: StoredAnswer | None) -> None:
        with connection(self._pool) as conn:
            if answered is None:
                conn.execute(_SQL["abandon"], values)
            else:
                told = {"status": answered.status, "answer": json.dumps(dict(answered.answer))}
                conn.execute(_SQL["finish"], {**values, **told})
