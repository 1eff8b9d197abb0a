"""The rows of `app.queue` as a broker's outbox, and the claims its messages lead to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from psycopg.rows import class_row, dict_row
from pydantic import JsonValue

from core.machine.broker import Fate
from core.machine.identity import TaskId
from core.machine.messages import Letter
from core.machine.store import Claimed
from infrastructure.postgres.pool import Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("dispatch")
_CLAIMED = [field.name for field in fields(Claimed)]

#: Sends letters; the ids of those that the broker accepted. What it could not send it leaves out, and raises nothing.
Send = Callable[[Sequence[Letter]], Iterable[int]]


@dataclass(frozen=True)
class Batch:
    """How many letters were due, how many the broker accepted, and the last row read."""

    found: int
    accepted: int
    last: int


class PostgresMail:
    """Mail over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def send(self, limit: int, resend: float, except_queues: Sequence[str], after: int, send: Send) -> Batch:
        """Hold some due letters beyond row `after`, send them, and mark what was accepted.

        When this process dies before it commits, they are sent again under the same message ids.
        """
        parameters = {"limit": limit, "resend": resend, "except_queues": list(except_queues), "after": after}
        with transaction(self._pool) as conn:
            with conn.cursor(row_factory=class_row(Letter)) as cursor:
                letters = cursor.execute(_SQL["take_letters"], parameters).fetchall()
            accepted = list(send(letters))
            if accepted:
                conn.execute(_SQL["letters_sent"], {"queue_ids": accepted})
        return Batch(len(letters), len(accepted), letters[-1].queue_id if letters else after)

    def claim(self, worker: str, queues: Sequence[str], tasks: Sequence[TaskId], lease: float) -> list[Claimed | Fate]:
        """Lease what messages name."""
        parameters = {
            "worker": worker,
            "queues": list(queues),
            "job_ids": [t.job_id for t in tasks],
            "stages": [t.stage for t in tasks],
            "indexes": [t.index for t in tasks],
            "lease": lease,
        }
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(_SQL["claim_letters"], parameters).fetchall()
        return [
            Claimed(**{name: row[name] for name in _CLAIMED}) if row["fate"] == "claimed" else Fate(row["fate"])
            for row in sorted(rows, key=lambda row: row["position"])
        ]

    def undeliverable(
        self, queue: str, task: TaskId | None, reason: str, detail: str, payload: Mapping[str, JsonValue]
    ) -> str:
        """Keep a message the broker gave up on; `redriven` when its work is open and will be sent again."""
        parameters = {
            "queue": queue,
            "job_id": task and task.job_id,
            "stage": task and task.stage,
            "task_index": task and task.index,
            "reason": reason,
            "detail": detail,
            "payload": json.dumps(payload),
        }
        with connection(self._pool) as conn:
            row = conn.execute(_SQL["undeliverable"], parameters).fetchone()
        return str(row[0]) if row else ""
