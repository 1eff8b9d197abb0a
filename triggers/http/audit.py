"""`/api/admin/audit`: who did what to which object, when and from where."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel

from core.models.audit import AuditAction, AuditEntry
from infrastructure.postgres.audit import AuditFilter
from triggers.http.access import TheRuntime
from triggers.http.paging import Cursor, Limit, Word, cursor, position
from triggers.http.scope import Admin

router = APIRouter(prefix="/api/admin/audit", tags=["audit"])
_AUDIT = "audit"


class AuditPage(BaseModel):
    """Some deeds. `next_cursor` is null at the end."""

    count: int
    entries: list[AuditEntry]
    next_cursor: str | None


@router.get("")
def listing(
    runtime: TheRuntime,
    _: Admin,
    limit: Limit = 50,
    after: Cursor = None,
    actor: Word | None = None,
    client_id: Word | None = None,
    action: AuditAction | None = None,
    object_type: Word | None = None,
    object_id: Word | None = None,
    since: Annotated[AwareDatetime | None, Query(description="Not before this moment.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Before this moment.")] = None,
) -> AuditPage:
    """Deeds, newest first, a page at a time."""
    found = position(_AUDIT, after, 1)
    before = found[0] if found else None
    wanted = AuditFilter(actor, client_id, action, object_type, object_id, since, until, before)
    entries = runtime.audit.entries(wanted, limit)
    last = entries[-1].audit_id if len(entries) == limit else None
    return AuditPage(count=len(entries), entries=entries, next_cursor=last and cursor(_AUDIT, last))
