"""`/api/admin/dead-letters`: what failed for good, until an admin decides."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, JsonValue, StringConstraints, model_validator

from core.models.dead_letters import DeadLetter, DeadLetterCause, DeadLetterKind, DeadLetterState
from infrastructure.postgres.dead_letters import LetterFilter
from services.jobs.letters import mended
from triggers.http.access import TheRuntime
from triggers.http.history import Event, event_of
from triggers.http.paging import Cursor, Limit, Prose, Word, cursor, position
from triggers.http.scope import Admin

router = APIRouter(prefix="/api/admin/dead-letters", tags=["dead letters"])
_LETTERS, _GROUPS = "dead-letters", "dead-letter-groups"
_MOST = 1000

Number = Annotated[int, Path(alias="id", ge=1, lt=1 << 63)]
Fingerprint = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]


class StateFilter(StrEnum):
    """Letters in one state, or all of them."""

    OPEN = "open"  #: nobody has decided
    REDRIVEN = "redriven"  #: run again
    DISCARDED = "discarded"  #: let go
    ANY = "any"  #: all


class Group(BaseModel):
    """Letters whose errors differ only in numbers, ids and quoted names; the rest describes the newest of them."""

    fingerprint: str
    count: int
    jobs: int
    first_seen: datetime
    last_seen: datetime
    example_id: int
    kind: DeadLetterKind
    cause: DeadLetterCause
    state: DeadLetterState
    error_code: str
    error_message: str
    job_type: str | None
    task_type: str | None


class LetterPage(BaseModel):
    """Groups, or with `group=false` letters. `next_cursor` is null at the end."""

    count: int
    groups: list[Group] = []
    dead_letters: list[DeadLetter] = []
    next_cursor: str | None


class LetterDetails(BaseModel):
    """A letter, every failed attempt behind it, and what happened last, newest first."""

    dead_letter: DeadLetter
    error_history: list[JsonValue]
    events: list[Event]
    job_status: str | None


class Edit(BaseModel):
    """Fields of the payload to replace."""

    model_config = ConfigDict(extra="forbid")

    parameters: dict[str, JsonValue]


class Which(BaseModel):
    """The open letters that a bulk command is about: those of a fingerprint, or all; the other fields narrow them."""

    model_config = ConfigDict(extra="forbid")

    fingerprint: Fingerprint | None = None
    all: bool = False
    kind: DeadLetterKind | None = None
    cause: DeadLetterCause | None = None
    error_code: Word | None = None
    job_type: Word | None = None

    @model_validator(mode="after")
    def _named(self) -> Which:
        if self.all == (self.fingerprint is not None):
            raise ValueError("give a fingerprint, or all=true")
        return self

    def filter(self) -> LetterFilter:
        """The same for the reader."""
        return LetterFilter(None, self.kind, self.cause, self.error_code, self.job_type, self.fingerprint)


class WhichToDiscard(Which):
    """Those to let go, and why."""

    reason: Prose


class Discard(BaseModel):
    """Why nobody needs it."""

    model_config = ConfigDict(extra="forbid")

    reason: Prose


class LetterAnswer(BaseModel):
    """The letter as it is now."""

    success: bool = True
    dead_letter: DeadLetter


class BulkAnswer(BaseModel):
    """How many letters came to what; at most 1,000 a call, so repeat while `redriven` or `discarded` says 1,000."""

    success: bool = True
    redriven: int = 0
    discarded: int = 0
    running: int = 0
    superseded: int = 0
    resolved: int = 0


def asked(
    state: Annotated[StateFilter, Query(description="Which decision.")] = StateFilter.OPEN,
    kind: DeadLetterKind | None = None,
    cause: DeadLetterCause | None = None,
    error_code: Word | None = None,
    job_type: Word | None = None,
    fingerprint: Annotated[str | None, Query(pattern="^[0-9a-f]{32}$")] = None,
) -> LetterFilter:
    """The letters a list is about."""
    decided = None if state is StateFilter.ANY else DeadLetterState(state.value)
    return LetterFilter(decided, kind, cause, error_code, job_type, fingerprint)


@router.get("")
def listing(
    runtime: TheRuntime,
    _: Admin,
    wanted: Annotated[LetterFilter, Depends(asked)],
    limit: Limit = 50,
    after: Cursor = None,
    group: Annotated[bool, Query(description="By fingerprint, or one by one.")] = True,
) -> LetterPage:
    """What failed for good, the latest first: by what the errors have in common, or one by one."""
    kind = _GROUPS if group else _LETTERS
    found = position(kind, after, 1)
    before = found[0] if found else None
    if group:
        groups = [Group(**vars(g)) for g in runtime.dead_letters.groups(wanted, limit=limit, before=before)]
        last = groups[-1].example_id if len(groups) == limit else None
        return LetterPage(count=len(groups), groups=groups, next_cursor=last and cursor(kind, last))
    letters = runtime.dead_letters.letters(wanted, limit=limit, before=before)
    last = letters[-1].dead_letter_id if len(letters) == limit else None
    return LetterPage(count=len(letters), dead_letters=letters, next_cursor=last and cursor(kind, last))


@router.get("/{id}")
def show(number: Number, runtime: TheRuntime, _: Admin) -> LetterDetails:
    """A letter with its payload, its failed attempts, and what happened last."""
    letter = runtime.dead_letters.get(number)
    events = runtime.dead_letters.events(letter)
    return LetterDetails(
        dead_letter=letter,
        error_history=runtime.dead_letters.error_history(letter),
        events=[event_of(e, letter.job_id or "") for e in events],
        job_status=runtime.jobs.status_of(letter.job_key) if letter.job_key is not None else None,
    )


@router.patch("/{id}")
def edit(number: Number, runtime: TheRuntime, caller: Admin, body: Edit) -> LetterAnswer:
    """Change what runs again. The task type's own model checks it; a refusal names the field."""
    letter = runtime.dead_letters.get(number)
    payload = mended(runtime.machine.registry, letter, body.parameters)
    return LetterAnswer(dead_letter=runtime.dead_letters.edit(letter, payload, caller))


@router.post("/redrive", status_code=202)
def redrive_all(runtime: TheRuntime, caller: Admin, body: Which) -> BulkAnswer:
    """Run the open letters of a fingerprint, or all, again; at most 1,000 a call."""
    counts = runtime.dead_letters.redrive_all(body.filter(), caller, _MOST)
    runtime.machine.announce()
    return BulkAnswer(**counts)


@router.post("/discard")
def discard_all(runtime: TheRuntime, caller: Admin, body: WhichToDiscard) -> BulkAnswer:
    """Let the open letters of a fingerprint, or all, go; at most 1,000 a call."""
    count = runtime.dead_letters.discard_all(body.filter(), caller, body.reason, _MOST)
    return BulkAnswer(discarded=count)


@router.post("/{id}/redrive", status_code=202)
def redrive(number: Number, runtime: TheRuntime, caller: Admin) -> LetterAnswer:
    """Run it again. A task takes its job's other failures along: the job gets one new run."""
    letter = runtime.dead_letters.redrive(number, caller)
    runtime.machine.announce()
    return LetterAnswer(dead_letter=letter)


@router.post("/{id}/discard")
def discard(number: Number, runtime: TheRuntime, caller: Admin, body: Discard) -> LetterAnswer:
    """Let it go, with the reason. Its job stays as it ended."""
    return LetterAnswer(dead_letter=runtime.dead_letters.discard(number, caller, body.reason))
