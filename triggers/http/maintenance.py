"""`/api/dbadmin/maintenance`: changing the database as a whole, and `/drift`: what would have to change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import structlog
from fastapi import APIRouter, Query
from pydantic import BaseModel, JsonValue

from core.contracts.principals import Principal
from core.errors import InvalidRequest
from core.models.audit import AuditAction
from infrastructure.administration.orders import MaintenanceAction, Order
from triggers.http.access import TheRuntime
from triggers.http.paging import PLAIN
from triggers.http.scope import Admin

if TYPE_CHECKING:
    from composition import Runtime
    from infrastructure.postgres.schema import Difference, EnsureReport

_log = structlog.get_logger()
router = APIRouter(prefix="/api/dbadmin", tags=["database"])
_DEEDS = {
    MaintenanceAction.ENSURE: AuditAction.DATABASE_ENSURE,
    MaintenanceAction.CLEANUP: AuditAction.DATABASE_CLEANUP,
    MaintenanceAction.REBUILD: AuditAction.DATABASE_REBUILD,
}


class SchemaDifference(BaseModel):
    """One difference between the database and the models. `ensure` mends what is additive."""

    kind: str
    object: str
    detail: str
    additive: bool


class Drift(BaseModel):
    """Every difference; none where the database is as the models declare it."""

    drifted: bool
    differences: list[SchemaDifference]
    summary: str


class Maintained(BaseModel):
    """What was done, or what would be: then `executed` is false, and a destructive action comes with its token."""

    action: MaintenanceAction
    executed: bool
    message: str
    would: dict[str, JsonValue] = {}
    result: dict[str, JsonValue] = {}
    token: str | None = None
    expires_at: datetime | None = None


@router.get("/drift")
def drift(runtime: TheRuntime, _: Admin) -> Drift:
    """How the database differs from the models. Changes nothing."""
    report = runtime.maintenance.report()
    differences = [_shown(each) for each in report.differences]
    return Drift(drifted=bool(differences), differences=differences, summary=report.summary())


@router.post("/maintenance")
def maintenance(
    runtime: TheRuntime,
    caller: Admin,
    action: MaintenanceAction,
    confirm: Annotated[Literal["yes"] | None, Query(description="Do it; without, it is only told.")] = None,
    token: Annotated[
        str | None, Query(max_length=100, pattern=PLAIN, description="For cleanup and rebuild: of the answer before.")
    ] = None,
    days: Annotated[int, Query(ge=1, le=36500, description="Of a cleanup: jobs that ended so long ago.")] = 30,
) -> Maintained:
    """Tell what an action would do, or with `confirm=yes` do it; what deletes also takes the token of that answer."""
    order = Order(action, days)
    if confirm is None or action is MaintenanceAction.CHECK:
        return _outlook(runtime, order, caller)
    if action.destructive and token is None:
        raise InvalidRequest(
            f"token: {action} deletes data, so it takes a token.",
            hint="Send the request without confirm, and repeat it with the token of the answer.",
        )

    def agreed() -> None:
        if action.destructive:
            runtime.maintenance.confirm(order, caller, token or "")

    agreed()
    if action.destructive:  # the audit log may go with what is deleted
        _log.warning("database_maintenance", action=action.value, by=caller.name, client_id=caller.client_id)
    result, message = _carry_out(runtime, order, agreed)
    # After the deed: a rebuild begins a new log.
    runtime.audit.write(caller, _DEEDS[action], runtime.settings.app.name, order.details)
    return Maintained(action=action, executed=True, message=message, result=result)


def _outlook(runtime: Runtime, order: Order, caller: Principal) -> Maintained:
    would = dict(runtime.maintenance.outlook(order))
    if order.action is MaintenanceAction.CHECK:
        return Maintained(action=order.action, executed=False, message="Nothing was changed.", would=would)
    if not order.action.destructive:
        message = "Nothing was changed. Repeat with confirm=yes to do it."
        return Maintained(action=order.action, executed=False, message=message, would=would)
    token = runtime.maintenance.token(order, caller)
    return Maintained(
        action=order.action,
        executed=False,
        message="Nothing was changed. Repeat with confirm=yes and this token to do it.",
        would=would,
        token=token.value,
        expires_at=token.expires_at,
    )


def _carry_out(runtime: Runtime, order: Order, agreed: Callable[[], None]) -> tuple[dict[str, JsonValue], str]:
    match order.action:
        case MaintenanceAction.CLEANUP:
            count = runtime.maintenance.cleanup(order.days)
            return {"jobs": count}, f"{count} jobs were archived or dropped. Repeat it while more are left."
        case MaintenanceAction.REBUILD:
            report = runtime.maintenance.rebuild(agreed)
        case _:
            report = runtime.maintenance.ensure()
    return _told(report), report.summary()


def _told(report: EnsureReport) -> dict[str, JsonValue]:
    return {
        "applied": [str(each) for each in report.applied],
        "refused": [str(each) for each in report.refused],
        "remaining": [str(each) for each in report.remaining],
    }


def _shown(difference: Difference) -> SchemaDifference:
    return SchemaDifference(
        kind=difference.kind.value,
        object=difference.object,
        detail=difference.detail,
        additive=difference.additive,
    )
