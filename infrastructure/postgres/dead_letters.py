"""The inbox of what failed for good: look, mend, run again, let go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row
from pydantic import JsonValue

from core.contracts.principals import Principal
from core.errors import Conflict, InvalidRequest, NotFound
from core.models.audit import AuditAction
from core.models.dead_letters import DeadLetter, DeadLetterCause, DeadLetterKind, DeadLetterState
from infrastructure.postgres import audit
from infrastructure.postgres.job_operations import tell
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries
from infrastructure.postgres.timeline import EventView

_SQL = Queries("dead_letters")

Redriven = Literal["redriven", "running", "superseded", "resolved"]
_REFUSALS: Mapping[Redriven, tuple[str, str]] = {
    "running": ("its job has not ended", "Wait for its end, or cancel it."),
    "superseded": ("a newer run of its job exists", "Discard it."),
    "resolved": ("it was redriven or discarded already", "Look at its state."),
}

#: How the job's history calls it.
_HISTORY: Mapping[AuditAction, str] = {
    AuditAction.DEAD_LETTER_EDIT: "dead_letter_edited",
    AuditAction.DEAD_LETTER_REDRIVE: "dead_letter_redriven",
    AuditAction.DEAD_LETTER_DISCARD: "dead_letter_discarded",
}


@dataclass(frozen=True)
class LetterFilter:
    """Which letters; what is None does not matter."""

    state: DeadLetterState | None = None
    kind: DeadLetterKind | None = None
    cause: DeadLetterCause | None = None
    error_code: str | None = None
    job_type: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True)
class LetterGroup:
    """Letters whose errors differ only in numbers, ids and names. The rest describes the newest of them."""

    fingerprint: str
    count: int
    jobs: int
    first_seen: datetime
    last_seen: datetime
    example_id: int
    kind: str
    cause: str
    state: str
    error_code: str
    error_message: str
    job_type: str | None
    task_type: str | None


class DeadLetters:
    """The inbox over a pool. `by` is who decides; the job's history keeps it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def groups(self, wanted: LetterFilter, *, limit: int, before: int | None) -> list[LetterGroup]:
        """Letters by fingerprint, the latest first, from before the letter of that number."""
        values = _values(wanted) | {"limit": limit, "before": before}
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(LetterGroup)) as cursor:
            return cursor.execute(_conditional("groups", wanted), values, prepare=False).fetchall()

    def letters(self, wanted: LetterFilter, *, limit: int, before: int | None) -> list[DeadLetter]:
        """Letters, newest first, from before the letter of that number."""
        values = _values(wanted) | {"limit": limit, "before": before}
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(_conditional("letters", wanted), values, prepare=False)
            return [DeadLetter.model_validate(row) for row in rows]

    def get(self, number: int) -> DeadLetter:
        """One letter. Raises NotFound."""
        with connection(self._pool) as conn:
            return _one(conn, "letter", number)

    def error_history(self, letter: DeadLetter) -> list[JsonValue]:
        """Every failed attempt behind a letter, oldest first; none for one that is not about a task."""
        values = {"job_key": letter.job_key, "stage": letter.stage, "task_index": letter.task_index}
        with connection(self._pool) as conn:
            row = conn.execute(_SQL["error_history"], values).fetchone()
        return cast("list[JsonValue]", row[0]) if row else []

    def events(self, letter: DeadLetter) -> list[EventView]:
        """What happened last to what is dead, newest first."""
        on_task = letter.task_index is not None and letter.task_index >= 0
        values = {
            "job_key": letter.job_key,
            "stage": letter.stage if on_task else None,
            "task_index": letter.task_index if on_task else None,
        }
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(EventView)) as cursor:
            return cursor.execute(_SQL["events_of_task"], values).fetchall()

    def edit(self, letter: DeadLetter, payload: Mapping[str, JsonValue], by: Principal) -> DeadLetter:
        """Replace what runs again. Raises Conflict when somebody has decided or edited since `letter` was read."""
        with transaction(self._pool) as conn:
            now = _one(conn, "lock_letter", letter.dead_letter_id)
            _require_open(now)
            if now.payload != letter.payload:
                raise Conflict(f"Dead letter {now.dead_letter_id} was edited meanwhile.", hint="Read it again.")
            values = {"dead_letter_id": letter.dead_letter_id, "payload": json.dumps(dict(payload))}
            try:
                conn.execute(_SQL["edit"], values)
            except psycopg.DataError as e:
                raise InvalidRequest(f"The parameters cannot be stored: {str(e).splitlines()[0]}.") from e
            changed = sorted(k for k in {**payload, **now.payload} if payload.get(k) != now.payload.get(k))
            _tell(conn, now, by, AuditAction.DEAD_LETTER_EDIT, {"changed": cast("JsonValue", changed)})
            return _one(conn, "letter", letter.dead_letter_id)

    def redrive(self, number: int, by: Principal) -> DeadLetter:
        """Run it again. Raises NotFound, or Conflict with what stands against it."""
        with transaction(self._pool) as conn:
            letter = _one(conn, "letter", number)
            outcome = _redrive(conn, number, by)
            if outcome in _REFUSALS:
                why, hint = _REFUSALS[outcome]
                raise Conflict(f"Dead letter {number} cannot be redriven: {why}.", hint=hint)
            _tell(conn, letter, by, AuditAction.DEAD_LETTER_REDRIVE, {})
            return _one(conn, "letter", number)

    def redrive_all(self, wanted: LetterFilter, by: Principal, limit: int) -> dict[Redriven, int]:
        """Run the open ones again, oldest first, each in a transaction of its own; how many came to what.

        One that its job's first letter took along counts as redriven.
        """
        counts: dict[Redriven, int] = {"redriven": 0, "running": 0, "superseded": 0, "resolved": 0}
        for number in self._open(wanted, limit):
            with transaction(self._pool) as conn:
                outcome = _redrive(conn, number, by)
                letter = _one(conn, "letter", number)
                if outcome == "redriven":
                    _tell(conn, letter, by, AuditAction.DEAD_LETTER_REDRIVE, {})
            taken = outcome == "resolved" and letter.state is DeadLetterState.REDRIVEN
            counts["redriven" if taken else outcome] += 1
        return counts

    def discard(self, number: int, by: Principal, reason: str) -> DeadLetter:
        """Let it go. Raises NotFound, or Conflict when it was decided already."""
        with transaction(self._pool) as conn:
            _require_open(_one(conn, "lock_letter", number))
            return _discard(conn, number, by, reason)

    def discard_all(self, wanted: LetterFilter, by: Principal, reason: str, limit: int) -> int:
        """Let the open ones go, oldest first; how many."""
        numbers = self._open(wanted, limit)
        with transaction(self._pool) as conn:
            for number in numbers:
                if _one(conn, "lock_letter", number).state is DeadLetterState.OPEN:
                    _discard(conn, number, by, reason)
        return len(numbers)

    def _open(self, wanted: LetterFilter, limit: int) -> list[int]:
        with connection(self._pool) as conn:
            found = conn.execute(_conditional("open_ids", wanted), _values(wanted) | {"limit": limit}, prepare=False)
            return [number for (number,) in found]


def _values(wanted: LetterFilter) -> dict[str, object]:
    return dict(vars(wanted))


def _conditional(name: str, wanted: LetterFilter) -> sql.Composed:
    asked = [f"with_{field}" for field, value in _values(wanted).items() if value is not None]
    return sql.SQL(_SQL[name]).format(conditions=sql.SQL(" ").join(sql.SQL(_SQL[block]) for block in asked))


def _one(conn: Connection, name: str, number: int) -> DeadLetter:
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_SQL[name], {"dead_letter_id": number}).fetchone()
    if row is None:
        raise NotFound(f"There is no dead letter {number}.")
    return DeadLetter.model_validate(row)


def _require_open(letter: DeadLetter) -> None:
    if letter.state is not DeadLetterState.OPEN:
        raise Conflict(f"Dead letter {letter.dead_letter_id} is {letter.state.value} already.")


def _redrive(conn: Connection, number: int, by: Principal) -> Redriven:
    row = conn.execute(_SQL["redrive"], {"dead_letter_id": number, "by": by.name}).fetchone()
    return cast("tuple[Redriven]", row)[0]


def _discard(conn: Connection, number: int, by: Principal, reason: str) -> DeadLetter:
    conn.execute(_SQL["discard"], {"dead_letter_id": number, "by": by.name, "reason": reason})
    letter = _one(conn, "letter", number)
    _tell(conn, letter, by, AuditAction.DEAD_LETTER_DISCARD, {"reason": reason})
    return letter


def _tell(conn: Connection, letter: DeadLetter, by: Principal, action: AuditAction, data: dict[str, JsonValue]) -> None:
    """Write the decision into the audit log, and into the history of the letter's job if it has one."""
    audit.record(conn, by, action, letter.dead_letter_id, {"job_id": letter.job_id, **data})
    if letter.job_key is not None:
        about: dict[str, JsonValue] = {"dead_letter_id": letter.dead_letter_id, "by": by.name, **data}
        tell(conn, letter.job_key, _HISTORY[action], about)
