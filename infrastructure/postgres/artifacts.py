"""What a job left in the catalogue, and its removal: first the entry that others find it by, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import JsonValue

from core.contracts import assets
from core.contracts.cleanup import Artifacts, StacItemName
from core.contracts.principals import Principal
from core.contracts.storage import BlobName, ObjectStorage
from core.errors import Conflict, TargetChanged
from core.models.audit import AuditAction
from infrastructure.pgstac import get_item, shrink
from infrastructure.postgres import audit
from infrastructure.postgres.feature_changes import drop_table
from infrastructure.postgres.job_operations import stop_if_forced, tell
from infrastructure.postgres.job_views import JobView
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("operations")
_REMOVED = "artifacts_removed"


class PostgresArtifacts:
    """Catalogue entries over a pool; `storage` says which files are ours."""

    def __init__(self, pool: Pool, storage: ObjectStorage) -> None:
        self._pool = pool
        self._storage = storage

    def of(self, job_id: str) -> Artifacts:
        """What the job made and nobody else has replaced, and files that an earlier deletion left behind."""
        with connection(self._pool) as conn:
            return self._of(conn, job_id)

    def remove(self, job: JobView, by: Principal, *, force: bool, unpublish: bool) -> Artifacts:
        """Take the entries out of the catalogue and remember in the job's history which files they leave behind.

        Raises Conflict for a job that has not ended unless `force`, for what the public sees unless `unpublish`, and
        for a table that others use or build on. Nothing is changed then.
        """
        with transaction(self._pool) as conn:
            stop_if_forced(conn, job.job_id, by, "What it made is deleted.", force=force)
            for collection in sorted({i.collection_id for i in self._of(conn, job.job_id).items}):
                conn.execute(_SQL["lock_collection"], {"collection_id": collection})
            found = self._of(conn, job.job_id)  # now that nobody publishes them meanwhile
            if found.published and not unpublish:
                raise Conflict(
                    f"The public sees {', '.join(found.published)}.",
                    hint="Revoke the approval first, or have an admin give force=true.",
                )
            for item in found.items:
                values = {"collection_id": item.collection_id, "item_id": item.item_id, "by": by.name}
                for name in ("delete_item", "withdraw_item"):
                    conn.execute(_SQL[name], values)
            conn.execute(_SQL["delete_cogs"], {"job_id": job.job_id})
            for collection in sorted({item.collection_id for item in found.items}):
                shrink(conn, collection, drops_mosaic=True)
            for table in found.tables:
                _drop(conn, table)
            tell(conn, job.job_key, _REMOVED, {"by": by.name, **_told(found)})
            audit.record(conn, by, AuditAction.JOB_DELETE_ARTIFACTS, job.job_id, _told(found))
            return found

    def _of(self, conn: Connection, job_id: str) -> Artifacts:
        key = {"job_id": job_id}
        tables = conn.execute(_SQL["made_tables"], key).fetchall()
        blobs = [BlobName(container, path) for container, path in conn.execute(_SQL["made_blobs"], key)]
        items: list[StacItemName] = []
        for collection_id, item_id in conn.execute(_SQL["made_items"], key).fetchall():
            shown = conn.execute(_SQL["is_published"], {"collection_id": collection_id, "item_id": item_id}).fetchone()
            items.append(StacItemName(collection_id=collection_id, item_id=item_id, published=shown == (True,)))
            item = get_item(conn, collection_id, item_id) or {}
            blobs += filter(None, (assets.output(self._storage, href) for href in assets.hrefs(item).values()))
        blobs += self._left(conn, job_id)
        return Artifacts(
            items=tuple(items), tables=tuple(name for name, _ in tables), blobs=tuple(sorted({str(b) for b in blobs}))
        )

    def _left(self, conn: Connection, job_id: str) -> Iterable[BlobName]:
        """Files of an earlier removal, but for those that a later run has catalogued again."""
        for (text,) in conn.execute(_SQL["left_blobs"], {"job_id": job_id}).fetchall():
            container, _, path = str(text).partition("/")
            used = conn.execute(_SQL["is_catalogued"], {"container": container, "path": path}).fetchone()
            if used != (True,):
                yield BlobName(container, path)


def _drop(conn: Connection, table: str) -> None:
    try:
        drop_table(conn, "geo", table)
    except TargetChanged as e:
        raise Conflict(e.message, hint="Try again later.") from e
    conn.execute(_SQL["delete_catalog"], {"table_name": table})


def _told(found: Artifacts) -> dict[str, JsonValue]:
    items: JsonValue = [f"{i.collection_id}/{i.item_id}" for i in found.items]
    return {"items": items, "tables": list(found.tables), "blobs": list(found.blobs)}
