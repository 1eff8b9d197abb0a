"""The registry of external services: rows, history, and promises to tell of changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from psycopg.rows import class_row, dict_row

from core.contracts.principals import Principal
from core.contracts.services import ALERTS, Detection, Judge, Judgement, Outcome
from core.errors import Conflict, NotFound
from core.models.audit import AuditAction
from core.models.services import ExternalService, ServiceCheck, ServiceStatus, ServiceType
from infrastructure.postgres import audit
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("external_services")
_KEPT_CHECKS = 500  #: history of a service; three weeks of hourly checks


@dataclass(frozen=True)
class ServiceFilter:
    """Which services; what is None does not matter. `after` is name and id of the last one seen."""

    status: ServiceStatus | None = None
    service_type: ServiceType | None = None
    tag: str | None = None
    enabled: bool | None = None
    after: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ServiceChange:
    """What people say about a service."""

    name: str
    description: str | None
    tags: tuple[str, ...]
    check_interval_minutes: int
    enabled: bool = True
    maintenance: bool = False


class PostgresServices:
    """The ServiceStore over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def register(self, url: str, said: ServiceChange, by: Principal) -> ExternalService:
        """Keep a new service, not checked yet. Raises Conflict for an address that is known."""
        service_id = hashlib.sha256(url.encode()).hexdigest()[:32]
        values = {**_values(said), "service_id": service_id, "url": url, "created_by": by.client_id}
        with transaction(self._pool) as conn, conn.cursor(row_factory=class_row(ExternalService)) as cursor:
            made = cursor.execute(_SQL["register"], values).fetchone()
            if made is None:
                raise Conflict(f"This address is registered as {service_id}.", hint="Check or update that service.")
            audit.record(conn, by, AuditAction.SERVICE_REGISTER, service_id, {"url": url})
            return made

    def service(self, service_id: str) -> ExternalService:
        """One service. Raises NotFound."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(ExternalService)) as cursor:
            return _found(cursor.execute(_SQL["service"], {"service_id": service_id}).fetchone(), service_id)

    def services(self, wanted: ServiceFilter, limit: int) -> list[ExternalService]:
        """Services by name."""
        values = {**vars(wanted), "after": list(wanted.after) if wanted.after else None, "limit": limit}
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(ExternalService)) as cursor:
            return cursor.execute(_SQL["services"], values).fetchall()

    def checks(self, service_id: str, limit: int) -> list[ServiceCheck]:
        """How the latest checks went, newest first."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(ServiceCheck)) as cursor:
            return cursor.execute(_SQL["checks"], {"service_id": service_id, "limit": limit}).fetchall()

    def stats(self) -> Mapping[str, object]:
        """How many there are, and how they are."""
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute(_SQL["stats"]).fetchone()
            assert found is not None  # a row of aggregates
            return found

    def update(
        self, service_id: str, change: Callable[[ServiceChange], ServiceChange], by: Principal
    ) -> ExternalService:
        """Change what people say about it now, one change at a time. Raises NotFound."""
        with transaction(self._pool) as conn, conn.cursor(row_factory=class_row(ExternalService)) as cursor:
            before = _found(cursor.execute(_SQL["lock_service"], {"service_id": service_id}).fetchone(), service_id)
            said = change(_said(before))
            status = _status(before, said)
            due = said.enabled and (not before.enabled or status is not before.status)
            values = {**_values(said), "service_id": service_id, "status": status, "due": due}
            after = _found(cursor.execute(_SQL["update"], values).fetchone(), service_id)
            audit.record(conn, by, AuditAction.SERVICE_UPDATE, service_id, {"enabled": said.enabled, "status": status})
            return after

    def delete(self, service_id: str, by: Principal) -> ExternalService:
        """Forget it with its history. Raises NotFound."""
        with transaction(self._pool) as conn, conn.cursor(row_factory=class_row(ExternalService)) as cursor:
            gone = _found(cursor.execute(_SQL["delete"], {"service_id": service_id}).fetchone(), service_id)
            audit.record(conn, by, AuditAction.SERVICE_DELETE, service_id, {"url": gone.url})
            return gone

    def claim_due(self, limit: int, lease_seconds: float) -> list[ExternalService]:
        """Services whose check is due; nobody else gets them for so long."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(ExternalService)) as cursor:
            return cursor.execute(_SQL["claim_due"], {"limit": limit, "lease": lease_seconds}).fetchall()

    def record(self, service_id: str, outcome: Outcome, judge: Judge) -> ExternalService | None:
        """Judge under a lock, keep state, history and alert in one transaction; None when it is gone."""
        with transaction(self._pool) as conn, conn.cursor(row_factory=class_row(ExternalService)) as cursor:
            before = cursor.execute(_SQL["lock_service"], {"service_id": service_id}).fetchone()
            if before is None:
                return None
            judged = judge(before, outcome)
            after = cursor.execute(_SQL["judged"], _judged(service_id, outcome, judged)).fetchone()
            assert after is not None  # it is locked
            kept = {**vars(outcome), "healthy": outcome.healthy, "service_id": service_id, "status": after.status}
            row = conn.execute(_SQL["keep_check"], kept).fetchone()
            assert row is not None  # it was written
            conn.execute(_SQL["forget_checks"], {"service_id": service_id, "kept": _KEPT_CHECKS})
            if judged.alert is not None and after.status is judged.status:
                _promise(conn, before, outcome, judged, row[0])
            return after


def _said(service: ExternalService) -> ServiceChange:
    return ServiceChange(
        service.name,
        service.description,
        tuple(service.tags),
        service.check_interval_minutes,
        service.enabled,
        service.status is ServiceStatus.MAINTENANCE,
    )


def _status(before: ExternalService, said: ServiceChange) -> ServiceStatus:
    if said.maintenance:
        return ServiceStatus.MAINTENANCE
    return ServiceStatus.UNKNOWN if before.status is ServiceStatus.MAINTENANCE else before.status


def _values(said: ServiceChange) -> dict[str, object]:
    return {**vars(said), "tags": json.dumps(said.tags)}


def _found(service: ExternalService | None, service_id: str) -> ExternalService:
    if service is None:
        raise NotFound(f"There is no service {service_id[:100]!r}.", hint="GET /api/jobs/services lists them.")
    return service


def _judged(service_id: str, outcome: Outcome, judged: Judgement) -> dict[str, object]:
    return {
        "service_id": service_id,
        "status": judged.status,
        "failures": judged.failures,
        "slow": judged.slow,
        "wait": judged.wait_minutes * 60,
        "healthy": outcome.healthy,
        "response_ms": outcome.response_ms,
        "reason": outcome.reason,
        **_recognised(outcome.detection),
    }


def _recognised(found: Detection | None) -> dict[str, object]:
    return {
        "service_type": found and found.type,
        "confidence": found and found.confidence,
        "probe_url": found and found.probe_url,
        "capabilities": found and json.dumps(found.capabilities),
        "metadata": found and json.dumps(found.metadata),
    }


def _promise(conn: Connection, service: ExternalService, outcome: Outcome, judged: Judgement, check: int) -> None:
    payload = {
        "alert": judged.alert,
        "service_id": service.service_id,
        "name": service.name,
        "url": service.url,
        "was": service.status,
        "is": judged.status,
        "reason": outcome.reason,
        "response_ms": outcome.response_ms,
        "check_id": check,
    }
    conn.execute(_SQL["promise_alert"], {"topic": ALERTS, "dedup_key": str(check), "payload": json.dumps(payload)})
