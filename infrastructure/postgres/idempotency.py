"""Keys by which callers mark a call as the same one, and what it was answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from core.errors import Conflict
from infrastructure.postgres.pool import Pool, connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("idempotency")


@dataclass(frozen=True)
class StoredAnswer:
    """What the first call was answered."""

    status: int
    answer: Mapping[str, JsonValue]


class IdempotencyKeys:
    """Keys over a pool, each belonging to a client."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def begin(self, client_id: str, key: str, digest: str) -> StoredAnswer | None:
        """Reserve a key for a request; the answer it got before, if any. Raises Conflict for another request's key."""
        values = {"client_id": client_id, "key": key, "digest": digest}
        with connection(self._pool) as conn:
            row = conn.execute(_SQL["begin"], values).fetchone()
        assert row is not None  # inserted, or there
        known, status, answer = row
        if known != digest:
            raise Conflict(
                f"Idempotency-Key {key!r} was sent with another request.", hint="Make a new key for a new request."
            )
        return StoredAnswer(status, answer) if answer is not None else None

    def finish(self, client_id: str, key: str, status: int, answer: Mapping[str, JsonValue]) -> None:
        """Keep what the call was answered; the first answer stays."""
        values = {"client_id": client_id, "key": key, "status": status, "answer": json.dumps(dict(answer))}
        with connection(self._pool) as conn:
            conn.execute(_SQL["finish"], values)

    def abandon(self, client_id: str, key: str) -> None:
        """The call was refused: the key may be used again."""
        with connection(self._pool) as conn:
            conn.execute(_SQL["abandon"], {"client_id": client_id, "key": key})

    def forget(self, days: float = 7.0) -> int:
        """Remove keys so old that nobody repeats their calls; how many."""
        with connection(self._pool) as conn:
            return conn.execute(_SQL["forget"], {"days": days}).rowcount
