"""`/api/admin/snapshot`: how this process is configured, and whether that is what it was."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, JsonValue

from core.models.snapshots import SnapshotTrigger, SystemSnapshot
from triggers.http.access import TheRuntime
from triggers.http.paging import Cursor, Limit, Word, cursor, position
from triggers.http.scope import Admin

router = APIRouter(prefix="/api/admin/snapshot", tags=["operation"])
_KIND = "snapshots"


class Advice(BaseModel):
    """A setting that is allowed and probably not meant."""

    setting: str
    problem: str
    fix: str


class Configuration(BaseModel):
    """How the process that answered is configured. `changes` is what differs from the snapshot stored last."""

    process: str
    current: dict[str, JsonValue]
    warnings: list[Advice]
    drifted: bool
    changes: dict[str, JsonValue]
    last_captured_at: datetime | None
    last_seen_at: datetime | None


class Stored(BaseModel):
    """The snapshot. `created` is false where the configuration was as before."""

    created: bool
    snapshot: SystemSnapshot


class Snapshots(BaseModel):
    """Configurations, newest first. `next_cursor` is null at the end."""

    count: int
    snapshots: list[SystemSnapshot]
    next_cursor: str | None


@router.get("")
def current(runtime: TheRuntime, _: Admin) -> Configuration:
    """How this process is configured now, without secrets. Stores nothing."""
    snapshots = runtime.snapshots
    found, latest = snapshots.current(), snapshots.latest()
    changes = snapshots.drift(found)
    return Configuration(
        process=snapshots.process,
        current=dict(found),
        warnings=[Advice(**vars(each)) for each in runtime.setting_warnings],
        drifted=bool(changes),
        changes=dict(changes),
        last_captured_at=latest and latest.captured_at,
        last_seen_at=latest and latest.seen_at,
    )


@router.post("")
def store(runtime: TheRuntime, _: Admin) -> Stored:
    """Keep how this process is configured. A configuration that is as before is only seen again."""
    snapshot, created = runtime.snapshots.store(SnapshotTrigger.MANUAL)
    return Stored(created=created, snapshot=snapshot)


@router.get("/history")
def history(
    runtime: TheRuntime,
    _: Admin,
    limit: Limit = 50,
    after: Cursor = None,
    process: Annotated[Word | None, Query(description="APP_NAME/APP_MODE; every process without it.")] = None,
) -> Snapshots:
    """Every configuration there was, with what changed."""
    found = position(_KIND, after, 1)
    rows = runtime.snapshots.history(process, found[0] if found else None, limit)
    last = rows[-1].snapshot_id if len(rows) == limit else None
    return Snapshots(count=len(rows), snapshots=rows, next_cursor=last and cursor(_KIND, last))
