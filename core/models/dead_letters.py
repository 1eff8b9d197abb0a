"""What could not be done, kept until a person decides: run it again, or let it go."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field

from core.models.record import BigInt, Json, Positive, Record
from core.schema.table import Check, Column, ForeignKey, Index, Table


class DeadLetterKind(StrEnum):
    """What is dead."""

    TASK = "task"  #: a task that failed for good, or the advance of a stage
    CALLBACK = "callback"  #: a side effect of the outbox
    MESSAGE = "message"  #: a message that the broker gave up


class DeadLetterCause(StrEnum):
    """Why nothing tries again by itself."""

    PERMANENT = "permanent"  #: fails the same way every time
    EXHAUSTED = "exhausted"  #: used its attempts up
    POISON = "poison"  #: its workers died or fell silent again and again
    BROKER = "broker"  #: dead-lettered by the broker


class DeadLetterState(StrEnum):
    """What a person decided."""

    OPEN = "open"  #: nothing yet
    REDRIVEN = "redriven"  #: it ran, or runs, again
    DISCARDED = "discarded"  #: nobody needs it; `resolution` says why


class DeadLetter(Record):
    """One thing that died. `fingerprint` is equal for errors that differ only in numbers, ids and quoted names.

    `payload` is what runs again: the task's parameters, the callback's payload or the message's body.
    """

    __table__: ClassVar[Table] = Table(
        name="dead_letters",
        primary_key=("dead_letter_id",),
        indexes=(
            Index(("job_key", "stage", "task_index"), unique=True, where="kind = 'task'", name="ux_dead_letters_task"),
            Index(("outbox_id",), unique=True, where="state = 'open' AND kind = 'callback'", name="ux_dead_callbacks"),
            Index(("job_key",)),
            Index(("state", "fingerprint", "dead_letter_id")),
        ),
        checks=(
            Check("resolved_iff_not_open", "(state = 'open') = (resolved_at IS NULL)"),
            Check("discarded_has_reason", "state <> 'discarded' OR resolution IS NOT NULL"),
            Check("task_is_named", "kind <> 'task' OR num_nulls(job_key, stage, task_index) = 0"),
            Check("callback_is_named", "kind <> 'callback' OR outbox_id IS NOT NULL"),
        ),
        foreign_keys=(ForeignKey(("job_key",), "app.jobs", ("job_key",), on_delete="CASCADE"),),
    )

    dead_letter_id: Annotated[int, Column(sql_type="bigint", identity=True)]
    kind: DeadLetterKind
    cause: DeadLetterCause
    state: DeadLetterState = DeadLetterState.OPEN
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    error_code: str
    error_message: str
    queue: str | None = None
    job_key: BigInt | None = None
    job_id: str | None = None
    job_type: str | None = None
    stage: Positive | None = None
    task_index: int | None = None
    task_type: str | None = None
    outbox_id: BigInt | None = None
    payload: Json
    created_at: Annotated[AwareDatetime, Column(default="clock_timestamp()")]
    resolved_at: AwareDatetime | None = None
    resolved_by: str | None = None
    resolution: str | None = None
