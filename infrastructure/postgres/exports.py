"""The ExportStore in PostgreSQL."""

from __future__ import annotations

from psycopg.rows import dict_row

from core.contracts.exports import Export, RunStatus, Unfinished
from core.errors import NotFound
from core.models.platform import AccessLevel
from core.states import ApprovalStatus
from infrastructure.postgres.pool import Pool, connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("exports")


class PostgresExports:
    """Exports over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def get(self, approval_id: str) -> Export:
        """What an approval lets out. Raises NotFound."""
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(_SQL["get"], {"approval_id": approval_id}).fetchone()
        if row is None:
            raise NotFound(f"There is no approval {approval_id!r}.")
        return Export(
            approval_id=row["approval_id"],
            classification=AccessLevel(row["classification"]),
            status=ApprovalStatus(row["status"]),
            reviewed_at=row["asked_at"],
            run_id=row["adf_run_id"],
            files=row["files"],
            tables=row["tables"],
            parameters=row["parameters"],
        )

    def started(self, approval_id: str, run_id: str) -> None:
        """Remember the run of an approval that has none yet."""
        with connection(self._pool) as conn:
            conn.execute(_SQL["started"], {"approval_id": approval_id, "run_id": run_id})

    def unfinished(self, limit: int) -> list[Unfinished]:
        """Some runs that are not known to have ended."""
        with connection(self._pool) as conn:
            return [Unfinished(*row) for row in conn.execute(_SQL["unfinished"], {"limit": limit})]

    def ended(self, approval_id: str, run_id: str, status: RunStatus, message: str | None) -> None:
        """Remember how a run ended, or how far it is."""
        values = {
            "approval_id": approval_id,
            "run_id": run_id,
            "status": status.value,
            "ended": status.ended,
            "message": message,
        }
        with connection(self._pool) as conn:
            conn.execute(_SQL["ended"], values)
