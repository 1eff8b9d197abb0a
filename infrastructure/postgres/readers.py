"""Who sees the restricted data of which dataset, besides its own client."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.rows import dict_row

from core.contracts.principals import Principal
from core.models.access import DatasetReader
from core.models.audit import AuditAction
from infrastructure.postgres import audit
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("readers")


class PostgresReaders:
    """Lists over a pool; every change is in the audit log with what it replaced. `app.may_see` asks them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def of(self, dataset_id: str) -> list[DatasetReader]:
        """The readers of a dataset, by client; also of one that is still to come."""
        with connection(self._pool) as conn:
            return _of(conn, dataset_id)

    def put(self, dataset_id: str, clients: Sequence[str], by: Principal) -> list[DatasetReader]:
        """Replace the list. Who stays keeps the time since which he is on it."""
        with transaction(self._pool) as conn:
            conn.execute(_SQL["lock"], {"dataset_id": dataset_id})
            before = _of(conn, dataset_id)
            values = {"dataset_id": dataset_id, "clients": list(clients), "by": by.name}
            conn.execute(_SQL["remove"], values)
            conn.execute(_SQL["add"], values)
            after = _of(conn, dataset_id)
            changed = {"old": [r.client_id for r in before], "new": [r.client_id for r in after]}
            audit.record(
                conn, by, AuditAction.READERS_CHANGE, dataset_id, {n: [*names] for n, names in changed.items()}
            )
            return after


def _of(conn: Connection, dataset_id: str) -> list[DatasetReader]:
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_SQL["of_dataset"], {"dataset_id": dataset_id})
        return [DatasetReader.model_validate(row) for row in rows]
