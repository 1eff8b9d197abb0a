"""Repairs as people look at them and take them back, and the policy for those that nobody asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import cast

from psycopg import sql
from psycopg.rows import class_row
from pydantic import JsonValue

from core.contracts.effects import RepairTarget
from core.contracts.principals import Principal
from core.contracts.repairs import DriftToRepair
from core.errors import Conflict, NotFound
from core.machine.store import Accepted, NewJob
from core.models.audit import AuditAction
from core.models.catalog import GeoTableCatalog
from core.models.cogs import CogMetadata
from core.models.consistency import Repair
from infrastructure.pgstac import note_digests
from infrastructure.postgres import audit
from infrastructure.postgres.job_store import submit_in
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries
from infrastructure.postgres.repairs import changed, lock, set_column_type, state

_SQL = Queries("repairs")
_PGSTAC = Queries("pgstac")
_UNPUBLISH = Queries("unpublish")


class Repairs:
    """Repairs over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def page(self, before: int | None, object_: str | None, limit: int) -> list[Repair]:
        """Repairs, newest first."""
        values = {"before": before, "object": object_, "limit": limit}
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(Repair)) as cursor:
            return cursor.execute(_SQL["repairs"], values).fetchall()

    def undo(self, repair_id: int, by: Principal) -> Repair:
        """Put back what was there before, and let the finding stay. Raises NotFound, or Conflict for what changed."""
        with transaction(self._pool) as conn, conn.cursor(row_factory=class_row(Repair)) as cursor:
            found = cursor.execute(_SQL["lock_repair"], {"repair_id": repair_id}).fetchone()
            if found is None:
                raise NotFound(
                    f"There is no repair {repair_id}.", hint="GET /api/admin/consistency/repairs lists them."
                )
            if found.undone_at is not None:
                raise Conflict(f"Repair {repair_id} was undone by {found.undone_by}.")
            target = RepairTarget(**cast("dict[str, str]", found.target))
            lock(conn, target)
            touched = changed(found.before, found.after)
            moved = set(changed(found.after, state(conn, target))) & set(touched)
            if moved:
                raise Conflict(
                    f"{found.object} was changed since ({', '.join(sorted(moved))}), so repair {repair_id} stays.",
                    hint="Undo later repairs of the object first; what a job wrote stays.",
                )
            for part in touched:
                _PUT_BACK[part](conn, target, found)
            reason = f"Repair {repair_id} was undone."
            conn.execute(_SQL["leave"], {"finding_id": found.finding_id, "by": by.name, "reason": reason})
            audit.record(conn, by, AuditAction.REPAIR_UNDO, str(repair_id), {"object": found.object})
            undone = cursor.execute(_SQL["undone"], {"repair_id": repair_id, "by": by.name}).fetchone()
            assert undone is not None  # it is locked
            return undone

    def heal(self, limit: int, cooldown_minutes: int, prepare: Callable[[list[int]], NewJob]) -> Accepted | None:
        """Have open findings mended that need no person; None when there is none, or repairs run or ran a moment ago.

        Two that ask at once get one job.
        """
        with transaction(self._pool) as conn:
            conn.execute(_SQL["policy_lock"])
            busy = conn.execute(_SQL["healing"], {"cooldown": cooldown_minutes}).fetchone()
            found = to_repair(conn, (), None, limit)
            if busy == (True,) or not found:
                return None
            return submit_in(conn, prepare([one.finding_id for one in found]), rerun=True)


def to_repair(
    conn: Connection, findings: tuple[int, ...], collection_id: str | None, limit: int
) -> list[DriftToRepair]:
    """Open findings that need no person: those named, of a collection, or without either all."""
    values = {"findings": list(findings), "everything": not findings, "collection_id": collection_id, "limit": limit}
    with conn.cursor(row_factory=class_row(DriftToRepair)) as cursor:
        return cursor.execute(_SQL["to_repair"], values).fetchall()


def _put_item(conn: Connection, target: RepairTarget, repair: Repair) -> None:
    names = {"collection_id": target.collection_id, "ids": [target.item_id]}
    conn.execute(_PGSTAC["delete_items"], names)
    if repair.before["item"] is not None:
        conn.execute(_PGSTAC["create_items"], {"items": json.dumps([repair.before["item"]])})
        note_digests(conn, str(target.collection_id), [str(target.item_id)])


def _put_collection(conn: Connection, target: RepairTarget, repair: Repair) -> None:
    content = repair.before["collection"]
    if content is None:
        conn.execute(_UNPUBLISH["delete_collection"], {"collection_id": target.collection_id})
    else:
        block = "create_collection" if repair.after["collection"] is None else "update_collection"
        conn.execute(_PGSTAC[block], {"content": json.dumps(content)})


def _put_row(conn: Connection, table: str, key: str, columns: list[str], row: Mapping[str, JsonValue]) -> None:
    statement = sql.SQL(_SQL["put_row"]).format(
        table=sql.Identifier(*table.split(".")),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        key=sql.Identifier(key),
    )
    conn.execute(statement, {"row": json.dumps(row), "key": row[key]})


def _put_cog(conn: Connection, _: RepairTarget, repair: Repair) -> None:
    row = cast("Mapping[str, JsonValue]", repair.before["cog"])
    _put_row(conn, CogMetadata.__table__.qualified, "cog_id", list(CogMetadata.model_fields), row)


def _put_catalog(conn: Connection, _: RepairTarget, repair: Repair) -> None:
    row = cast("Mapping[str, JsonValue]", repair.before["catalog"])
    _put_row(conn, GeoTableCatalog.__table__.qualified, "table_name", list(GeoTableCatalog.model_fields), row)


def _put_refs(conn: Connection, target: RepairTarget, repair: Repair) -> None:
    conn.execute(_SQL["delete_refs"], asdict(target))
    conn.execute(_SQL["put_refs"], {"rows": json.dumps(repair.before["refs"] or [])})


def _put_column(conn: Connection, target: RepairTarget, repair: Repair) -> None:
    schema, column = _geometry(conn, target)
    table = sql.Identifier(schema, str(target.table_name))
    # The type that the database itself told when the repair began.
    stated = sql.SQL(cast("str", repair.before["column"]))
    set_column_type(conn, table, column, stated)


def _put_indexes(conn: Connection, target: RepairTarget, repair: Repair) -> None:
    schema, _ = _geometry(conn, target)
    before, after = (set(cast("list[str]", s["indexes"] or [])) for s in (repair.before, repair.after))
    for name in sorted(after - before):
        index = sql.Identifier(schema, name)
        conn.execute(sql.SQL(_SQL["drop_index"]).format(index=index))


def _geometry(conn: Connection, target: RepairTarget) -> tuple[str, str]:
    row = conn.execute(_SQL["table"], asdict(target)).fetchone()
    if row is None:
        raise Conflict(f"Table {target.table_name} is not catalogued any more.")
    return str(row[0]), str(row[1])


_PUT_BACK: Mapping[str, Callable[[Connection, RepairTarget, Repair], None]] = {
    "item": _put_item,
    "collection": _put_collection,
    "cog": _put_cog,
    "catalog": _put_catalog,
    "refs": _put_refs,
    "column": _put_column,
    "indexes": _put_indexes,
}
