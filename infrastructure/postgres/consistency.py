"""Findings about the catalogue: how they are made, and how people look at them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row

from core.contracts.consistency import (
    RULES,
    Compared,
    Measurement,
    OrphanBlob,
    OrphanBlobs,
    OrphanBlobsParameters,
    TableToMeasure,
)
from core.contracts.principals import Principal
from core.contracts.repairs import DriftToRepair
from core.contracts.storage import ObjectStorage
from core.contracts.tables import STAGING_MARK
from core.errors import Conflict, NotFound
from core.models.audit import AuditAction
from core.models.cogs import CogMetadata
from core.models.consistency import (
    ComparisonScope,
    ConsistencyFinding,
    ConsistencyRun,
    DriftKind,
    DriftSeverity,
    FindingState,
)
from infrastructure.pgstac import WRITTEN_LATER
from infrastructure.postgres import audit
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries
from infrastructure.postgres.repair_store import to_repair

_SQL = Queries("consistency")
_DRIFT = Queries("drift")
_COGS = Queries("cog_metadata")
_REPAIRS = Queries("repairs")
_LATER = {"later": list(WRITTEN_LATER)}
Extent = tuple[float, float, float, float]


@dataclass(frozen=True)
class FindingFilter:
    """Which findings; what is None does not matter. `before` is the number of the last one seen."""

    state: FindingState | None = None
    kind: DriftKind | None = None
    severity: DriftSeverity | None = None
    before: int | None = None


class PostgresConsistency:
    """The Consistency port over a pool. Blobs younger than `settled` may belong to work that is under way.

    `outputs` are the containers that are listed although no record names them yet.
    """

    def __init__(self, pool: Pool, storage: ObjectStorage, settled: timedelta, outputs: Sequence[str]) -> None:
        self._pool = pool
        self._storage = storage
        self._settled = settled
        self._outputs = outputs

    def to_measure(self, limit: int, without: Collection[str]) -> Sequence[TableToMeasure]:
        """Feature tables that changed since they were measured, but for some."""
        with connection(self._pool) as conn:
            rows = conn.execute(_SQL["to_measure"], {"limit": limit, "without": list(without)}).fetchall()
        return [TableToMeasure(*row) for row in rows]

    def measure(self, tables: Sequence[TableToMeasure]) -> Sequence[Measurement]:
        """Read some tables in one statement; those that are gone meanwhile are left out."""
        known = {table.name: table for table in tables}
        try:
            with connection(self._pool) as conn:
                rows = conn.execute(sql.SQL(" UNION ALL ").join(map(_read, tables)), prepare=False).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            return [one for table in tables for one in self.measure([table])] if len(tables) > 1 else []
        return [_measurement(known[row[0]], row) for row in rows]

    def keep(self, measured: Sequence[tuple[Measurement, Extent | None]]) -> None:
        """Remember measurements with their extents in EPSG:4326."""
        with transaction(self._pool) as conn, conn.cursor() as cursor:
            cursor.executemany(_SQL["keep_measure"], [_kept(one, extent) for one, extent in measured])

    def cog(self, cog_id: str) -> CogMetadata | None:
        """The row of a COG."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(CogMetadata)) as cursor:
            return cursor.execute(_COGS["one"], {"cog_id": cog_id}).fetchone()

    def shown(self, collection_id: str, item_id: str) -> bool:
        """Whether STAC has the item."""
        with connection(self._pool) as conn:
            row = conn.execute(_REPAIRS["exists"], {"collection_id": collection_id, "item_id": item_id}).fetchone()
        return row == (True,)

    def to_repair(self, findings: Sequence[int], collection_id: str | None, limit: int) -> Sequence[DriftToRepair]:
        """Open findings that need no person: those named, of a collection, or without either all."""
        with connection(self._pool) as conn:
            return to_repair(conn, tuple(findings), collection_id, limit)

    def compare(self, scope: ComparisonScope, job_id: str) -> Compared:
        """Compare everything in the scope in one snapshot and write the findings."""
        with connection(self._pool) as conn, _alone(conn):
            started = _scalar(conn, "now")
            assert isinstance(started, datetime)  # the database's clock
            listed = self._list(conn, scope)
            with conn.transaction():
                conn.execute(_SQL["snapshot"])
                asked = {
                    "started": started,
                    "settled": started - self._settled,
                    "containers": listed,
                    "mark": STAGING_MARK,
                }
                return _compare(conn, scope, job_id, asked)

    def orphans(self, wanted: OrphanBlobsParameters) -> OrphanBlobs:
        """Outputs in one container that nothing speaks of, by the rule of a comparison."""
        with connection(self._pool) as conn, _alone(conn):
            started = _scalar(conn, "now")
            assert isinstance(started, datetime)  # the database's clock
            conn.execute(_SQL["create_blobs"])
            self._copy(conn, [wanted.container_name], wanted.prefix)
            with conn.transaction():
                conn.execute(_SQL["snapshot"])
                for block in ("seen_items", "seen_files"):
                    conn.execute(_DRIFT[block], _LATER)
                statement = sql.SQL(_SQL["orphans"]).format(rule=sql.SQL(_DRIFT[DriftKind.ORPHAN_BLOB.value]))
                asked = {"started": started, "settled": started - self._settled}
                limits = {"suffix": wanted.suffix.lower(), "limit": wanted.limit}
                rows = conn.execute(statement, {**asked, **limits}, prepare=False).fetchall()
            listed = _scalar(conn, "count_blobs")
        found = tuple(OrphanBlob(path=path, size=size, modified=modified) for path, size, modified, _ in rows)
        return OrphanBlobs(blobs=found, total=rows[0][3] if rows else 0, listed=cast("int", listed))

    def _copy(self, conn: Connection, containers: Sequence[str], prefix: str = "") -> None:
        with conn.cursor() as cursor, cursor.copy(_SQL["copy_blobs"]) as copy:
            for container in containers:
                for blob in self._storage.list(container, prefix):
                    href = self._storage.href(blob.name)
                    copy.write_row((container, blob.name.path, blob.size, blob.etag, blob.last_modified, href))
        conn.execute(_SQL["analyze_blobs"])

    def _list(self, conn: Connection, scope: ComparisonScope) -> list[str]:
        """Stream the listing of every container that has outputs into the database; the containers."""
        conn.execute(_SQL["create_blobs"])
        if scope is not ComparisonScope.FULL:
            return []
        named = {str(row[0]) for row in conn.execute(_SQL["containers"]).fetchall()}
        containers = sorted(named | set(self._outputs))
        self._copy(conn, containers)
        return containers

    def findings(self, wanted: FindingFilter, limit: int) -> list[ConsistencyFinding]:
        """Findings, newest first."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(ConsistencyFinding)) as cursor:
            return cursor.execute(_SQL["findings"], {**vars(wanted), "limit": limit}).fetchall()

    def counts(self) -> Mapping[str, int]:
        """Open findings by kind."""
        with connection(self._pool) as conn:
            return {str(kind): int(count) for kind, count in conn.execute(_SQL["count_findings"]).fetchall()}

    def finding(self, finding_id: int) -> ConsistencyFinding:
        """One finding. Raises NotFound."""
        with connection(self._pool) as conn:
            return _finding(conn, finding_id)

    def runs(self, before: int | None, limit: int) -> list[ConsistencyRun]:
        """Comparisons, newest first."""
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(ConsistencyRun)) as cursor:
            return cursor.execute(_SQL["runs"], {"before": before, "limit": limit}).fetchall()

    def dismiss(self, finding_id: int, reason: str, by: Principal) -> ConsistencyFinding:
        """Let it stay as it is, until it is gone by itself. Raises NotFound, and Conflict for one that is not open."""
        values = {"finding_id": finding_id, "reason": reason, "by": by.name}
        with transaction(self._pool) as conn, conn.cursor(row_factory=class_row(ConsistencyFinding)) as cursor:
            found = cursor.execute(_SQL["dismiss"], values).fetchone()
            if found is None:
                state = _finding(conn, finding_id).state
                raise Conflict(f"Finding {finding_id} is {state}.", hint="Only open findings can be dismissed.")
            audit.record(conn, by, AuditAction.FINDING_DISMISS, str(finding_id), {"reason": reason})
            return found


def _compare(conn: Connection, scope: ComparisonScope, job_id: str, asked: Mapping[str, object]) -> Compared:
    for block in ("seen_items", "seen_files", "seen_tables", "analyze_items"):
        conn.execute(_DRIFT[block], _LATER)
    conn.execute(_SQL["create_drift"])
    kinds = [kind for kind, rule in RULES.items() if scope in rule.scopes]
    for kind in kinds:
        rule = RULES[kind]
        statement = sql.SQL(_SQL["add_drift"]).format(rule=sql.SQL(_DRIFT[kind.value]))
        told = {"kind": kind.value, "severity": rule.severity.value, "repair": rule.repair}
        conn.execute(statement, {**asked, **told}, prepare=False)
    items, blobs, tables = conn.execute(_SQL["counts"]).fetchone() or (0, 0, 0)
    run = {"scope": scope.value, "job_id": job_id, "started": asked["started"]}
    counted = {"items": items, "blobs": blobs, "tables": tables}
    ((run_id,),) = conn.execute(_SQL["start_run"], {**run, **counted}).fetchall()
    conn.execute(_SQL["write_findings"], {"run_id": run_id})
    closed = conn.execute(_SQL["close_findings"], {"run_id": run_id, "kinds": [k.value for k in kinds]}).rowcount
    conn.execute(_SQL["forget_measures"])
    with conn.cursor(row_factory=dict_row) as cursor:
        finished = cursor.execute(_SQL["finish_run"], {"run_id": run_id, "closed": closed}).fetchone()
    return Compared.model_validate(finished)


@contextmanager
def _alone(conn: Connection) -> Iterator[None]:
    """No other comparison meanwhile, and no listing left behind on the connection."""
    conn.execute(_SQL["one_at_a_time"])
    try:
        conn.execute(_SQL["forget_blobs"])
        yield
    finally:
        if not conn.broken:
            conn.execute(_SQL["forget_blobs"])
            conn.execute(_SQL["next_one"])


def _read(table: TableToMeasure) -> sql.Composed:
    return sql.SQL(_SQL["measure"]).format(
        geometry=sql.Identifier(table.geometry),
        table=sql.Identifier(table.schema, table.name),
        name=sql.Literal(table.name),
    )


def _measurement(table: TableToMeasure, row: Sequence[object]) -> Measurement:
    _, updated_at, count, west, south, east, north, srids, types = row
    values = {
        "catalog_updated_at": updated_at,
        "row_count": count,
        "srids": tuple(srids or ()),  # type: ignore[arg-type]
        "geometry_types": tuple(str(t).removeprefix("ST_") for t in types or ()),  # type: ignore[attr-defined]
        "bbox": None if west is None else (west, south, east, north),
    }
    return Measurement(table=table, **values)  # type: ignore[arg-type]


def _kept(one: Measurement, extent: Extent | None) -> dict[str, object]:
    west, south, east, north = extent or (None, None, None, None)
    return {
        "table_name": one.table.name,
        "filenode": one.table.filenode,
        "changes": one.table.changes,
        "catalog_updated_at": one.catalog_updated_at,
        "row_count": one.row_count,
        "srids": json.dumps(one.srids),
        "geometry_types": json.dumps(one.geometry_types),
        "west": west,
        "south": south,
        "east": east,
        "north": north,
    }


def _finding(conn: Connection, finding_id: int) -> ConsistencyFinding:
    with conn.cursor(row_factory=class_row(ConsistencyFinding)) as cursor:
        found = cursor.execute(_SQL["finding"], {"finding_id": finding_id}).fetchone()
    if found is None:
        raise NotFound(f"There is no finding {finding_id}.", hint="GET /api/admin/consistency/findings lists them.")
    return found


def _scalar(conn: Connection, name: str) -> object:
    row = conn.execute(_SQL[name]).fetchone()
    return row[0] if row else None
