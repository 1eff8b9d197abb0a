"""Partners' requests in PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Mapping

from psycopg.rows import dict_row

from core.contracts.principals import Principal
from core.contracts.requests import KnownRequest
from core.machine.store import NewJob
from core.models.audit import AuditAction
from core.models.platform import ApiRequest
from core.states import JobStatus
from infrastructure.postgres import audit
from infrastructure.postgres.job_store import submit_in
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("platform")


class PostgresRequests:
    """The RequestStore over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def find(self, request_id: str) -> KnownRequest | None:
        """The request of that id."""
        with connection(self._pool) as conn:
            return _one(conn, "find_request", request_id)

    def find_by_job(self, job_id: str) -> KnownRequest | None:
        """The newest request that a job carries out."""
        with connection(self._pool) as conn:
            return _one(conn, "find_request_by_job", job_id)

    def newest(self, limit: int, dataset_id: str | None = None, client_id: str | None = None) -> list[KnownRequest]:
        """The newest requests first."""
        parameters = {"limit": limit, "dataset_id": dataset_id, "client_id": client_id}
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(_SQL["list_requests"], parameters)
            return [_known(row) for row in rows]

    def accept(
        self, request: ApiRequest, job: NewJob, by: Principal, *, known: KnownRequest | None, rerun: bool
    ) -> bool:
        """Write request and job in one transaction; False when another caller decided first."""
        with transaction(self._pool) as conn:
            conn.execute(_SQL["lock_request"], {"request_id": request.request_id})
            if _one(conn, "find_request", request.request_id) != known:
                return False
            accepted = submit_in(conn, job, rerun=rerun)
            if rerun and not accepted.created:
                return False
            row = request.model_dump(mode="json")
            conn.execute(_SQL["save_request"], {**row, "request": json.dumps(row["request"])})
            audit.record(
                conn,
                by,
                AuditAction.REQUEST_SUBMIT,
                request.request_id,
                {"job_id": job.job_id, "job_type": job.job_type, "run": accepted.run, "overwrite": rerun},
            )
            return True


def _one(conn: Connection, name: str, key: str) -> KnownRequest | None:
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_SQL[name], {"id": key}).fetchone()
    return _known(row) if row else None


def _known(row: Mapping[str, object]) -> KnownRequest:
    fields = {k: v for k, v in row.items() if k in ApiRequest.model_fields}
    return KnownRequest(ApiRequest.model_validate(fields), str(row["job_type"]), JobStatus(str(row["job_status"])))
