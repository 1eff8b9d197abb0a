"""Revisions as people look at them, bring them back, and lose them after their time."""

from __future__ import annotations

import secrets

from psycopg.rows import dict_row

from core.contracts.assets import output
from core.contracts.principals import Principal
from core.contracts.storage import ObjectStorage
from core.errors import Conflict, NotFound, StorageUnavailable, TargetChanged
from core.models.artifacts import Artifact
from core.models.audit import AuditAction
from core.states import ArtifactStatus
from infrastructure.postgres import audit, held
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("artifacts")
_PGSTAC = Queries("pgstac")


class Revisions:
    """Revisions over a pool; `storage` holds their files, `keep_days` says how long a replaced one is kept."""

    def __init__(self, pool: Pool, storage: ObjectStorage, keep_days: float) -> None:
        self._pool = pool
        self._storage = storage
        self._keep_days = keep_days

    def of_item(self, collection_id: str, item_id: str) -> list[Artifact]:
        """Every revision of an item, newest first."""
        return self._listed("of_item", {"collection_id": collection_id, "item_id": item_id})

    def of_request(self, request_id: str) -> list[Artifact]:
        """Every revision of what a request made, newest first."""
        return self._listed("of_request", {"request_id": request_id})

    def restore(self, artifact_id: str, by: Principal) -> Artifact:
        """Make a kept revision a draft again, as the newest one, and ask for its approval.

        Raises NotFound, and Conflict for one that is in place or no longer kept.
        """
        with transaction(self._pool) as conn:
            found = _one(conn, "get", artifact_id)
            conn.execute(_PGSTAC["lock_collection"], {"collection_id": found.stac_collection_id})
            found = _one(conn, "lock", artifact_id)
            if found.status is not ArtifactStatus.SUPERSEDED or not held.held(conn, [artifact_id]):
                raise Conflict(
                    f"Revision {found.revision} of {found.stac_item_id} is {found.status}: it cannot be brought back.",
                    hint="Only replaced revisions that are still kept can.",
                )
            names = {"artifact_id": artifact_id, "restored": f"art-{secrets.token_hex(16)}"}
            with conn.cursor(row_factory=dict_row) as cursor:
                restored = Artifact.model_validate(cursor.execute(_SQL["restore"], names).fetchone())
            conn.execute(_SQL["move_held"], names)
            conn.execute(_SQL["ask_for_restored"], {**names, "by": by.name, "client_id": by.client_id})
            audit.record(conn, by, AuditAction.ARTIFACT_RESTORE, artifact_id, {"restored": restored.artifact_id})
            return _one(conn, "get", restored.artifact_id)

    def expire(self, limit: int = 100) -> int:
        """Let go of revisions that were kept long enough: first the row, then tables and files; how many."""
        with connection(self._pool) as conn:
            rows = conn.execute(_SQL["expired"], {"days": self._keep_days, "limit": limit}).fetchall()
        expired = sum(self._expire(artifact_id) for (artifact_id,) in rows)
        self._delete_files(limit)
        return expired

    def _expire(self, artifact_id: str) -> bool:
        """Let go of one; False for a table that somebody reads, whose turn comes again."""
        try:
            with transaction(self._pool) as conn:
                found = _one(conn, "lock", artifact_id)
                if found.status is not ArtifactStatus.DELETED:
                    held.drop_tables(conn, artifact_id)
                    held.forget(conn, [artifact_id])
                    conn.execute(_SQL["delete"], {"artifact_id": artifact_id})
        except TargetChanged:
            return False
        return True

    def _delete_files(self, limit: int) -> None:
        """Delete what deleted revisions left in storage; what cannot be deleted is tried again the next time."""
        with connection(self._pool) as conn:
            rows = conn.execute(_SQL["files_to_delete"], {"limit": limit}).fetchall()
            without = conn.execute(_SQL["without_files"]).fetchall()
        kept: set[str] = set()
        for artifact_id, href, used in rows:
            name = output(self._storage, href)
            if used or name is None:
                continue
            try:
                self._storage.delete(name)
            except StorageUnavailable:
                kept.add(artifact_id)
        done = {artifact_id for artifact_id, _, _ in rows} - kept | {artifact_id for (artifact_id,) in without}
        with connection(self._pool) as conn:
            conn.execute(_SQL["files_deleted"], {"artifacts": sorted(done)})

    def _listed(self, name: str, values: dict[str, str]) -> list[Artifact]:
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            return [Artifact.model_validate(row) for row in cursor.execute(_SQL[name], values)]


def _one(conn: Connection, name: str, artifact_id: str) -> Artifact:
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_SQL[name], {"artifact_id": artifact_id}).fetchone()
    if row is None:
        raise NotFound(f"There is no artifact {artifact_id[:100]!r}.")
    return Artifact.model_validate(row)
