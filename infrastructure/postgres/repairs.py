"""How is something mended? In the caller's transaction, with what it was before and after kept beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import cast

from psycopg import sql
from pydantic import JsonValue

from core.contracts.effects import RepairDrift, RepairTarget, UpsertDatasetRef, UpsertStacItem
from core.contracts.tables import FeatureTable
from core.errors import Conflict, NotFound, TargetChanged
from core.models.consistency import DriftKind
from infrastructure.pgstac import PUBLICATION, apply_upsert_item
from infrastructure.pgstac.repairs import show_mosaic, widen_to_items
from infrastructure.postgres.dataset_refs import apply_upsert_dataset_ref
from infrastructure.postgres.feature_changes import write_catalog
from infrastructure.postgres.feature_types import geometry_type
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("repairs")
_PGSTAC = Queries("pgstac")
_COMMON = Queries("feature_common")
State = dict[str, JsonValue]


def apply_repair(conn: Connection, effect: RepairDrift) -> None:
    """Mend, and write down what changed. Raises TargetChanged when the record was written meanwhile."""
    if effect.refused is not None:
        conn.execute(_SQL["refuse"], {"finding_id": effect.finding_id, "reason": effect.refused})
        return
    lock(conn, effect.target)
    _require_expected(conn, effect)
    before = state(conn, effect.target)
    mend = _MEND.get(effect.kind)
    if mend is None:
        raise Conflict(f"Nothing mends {effect.object} without a person.", hint="See what the finding proposes.")
    mend(conn, effect)
    after = state(conn, effect.target)
    if changed(before, after):
        told = {"finding_id": effect.finding_id, "kind": effect.kind.value, "object": effect.object, "by": effect.by}
        states = {
            "target": json.dumps(asdict(effect.target)),
            "before": json.dumps(before),
            "after": json.dumps(after),
        }
        conn.execute(_SQL["record"], {**told, **states})
    conn.execute(_SQL["close"], {"finding_id": effect.finding_id})


def lock(conn: Connection, target: RepairTarget) -> None:
    """Let nobody else write the table or the collection, in the order in which all writers lock."""
    if target.table_name is not None:
        conn.execute(_COMMON["serialize_change"], {"schema": "geo", "table": target.table_name})
    if target.collection_id is not None:
        conn.execute(_PGSTAC["lock_collection"], {"collection_id": target.collection_id})


def state(conn: Connection, target: RepairTarget) -> State:
    """All that a repair of the target may touch, by the name of its part."""
    row = conn.execute(_SQL["state"], asdict(target)).fetchone()
    assert row is not None  # a query without FROM
    return cast("State", row[0])


def changed(before: State, after: State) -> list[str]:
    """The parts that differ in more than the time of writing."""
    return [part for part in before if _timeless(before[part]) != _timeless(after[part])]


def show_as_reviewed(conn: Connection, target: RepairTarget) -> None:
    """Have item and table shown or hidden as the review in force says."""
    names = asdict(target)
    row = conn.execute(_SQL["marks"], names).fetchone()
    assert row is not None  # a query without FROM
    marks = cast("Mapping[str, JsonValue]", row[0])
    conn.execute(_SQL["mark_item"], {**names, "marks": json.dumps(marks), "without": list(PUBLICATION)})
    moment = marks.get("app:published_at")
    conn.execute(_SQL["mark_table"], {**names, "published": marks["app:published"], "moment": moment})


def _timeless(part: JsonValue) -> JsonValue:
    match part:
        case dict():
            return {name: value for name, value in part.items() if name != "updated_at"}
        case list():
            return [_timeless(one) for one in part]
        case _:
            return part


def _require_expected(conn: Connection, effect: RepairDrift) -> None:
    if effect.expected is None:
        return
    block = "expected" if effect.target.cog_id is not None else "expected_table"
    row = conn.execute(_SQL[block], asdict(effect.target)).fetchone()
    found = cast("datetime | None", row[0] if row else None)
    if found != effect.expected:
        raise TargetChanged(f"The record of {effect.object} was written while its repair was prepared.")


def _rebuild(conn: Connection, effect: RepairDrift) -> None:
    """Row, item, reference and publication, as the pipeline and the review wrote them."""
    if effect.catalog is not None:
        write_catalog(conn, effect.catalog)
    if effect.collection is not None and effect.item is not None:
        apply_upsert_item(conn, UpsertStacItem(effect.collection, effect.item, mosaic_file=effect.mosaic_file))
    if effect.ref is not None:
        apply_upsert_dataset_ref(conn, UpsertDatasetRef(effect.ref))
    show_as_reviewed(conn, effect.target)


def _relink(conn: Connection, effect: RepairDrift) -> None:
    _require_item(conn, effect)
    conn.execute(_SQL["relink_cog" if effect.target.cog_id else "relink_table"], asdict(effect.target))


def _refer(conn: Connection, effect: RepairDrift) -> None:
    _require_item(conn, effect)
    conn.execute(_SQL["forget_refs"], asdict(effect.target))
    if effect.ref is not None:
        apply_upsert_dataset_ref(conn, UpsertDatasetRef(effect.ref))


def _note_etag(conn: Connection, effect: RepairDrift) -> None:
    conn.execute(_SQL["note_etag"], {**asdict(effect.target), "etag": effect.etag, "path": effect.path})


def _show(conn: Connection, effect: RepairDrift) -> None:
    show_as_reviewed(conn, effect.target)


def _widen(conn: Connection, effect: RepairDrift) -> None:
    widen_to_items(conn, str(effect.target.collection_id))


def _mosaic(conn: Connection, effect: RepairDrift) -> None:
    show_mosaic(conn, str(effect.target.collection_id), effect.mosaic_file)


def _require_item(conn: Connection, effect: RepairDrift) -> None:
    if conn.execute(_SQL["exists"], asdict(effect.target)).fetchone() != (True,):
        raise Conflict(
            f"The item of {effect.object} is gone meanwhile.", hint="The next comparison says how it stands."
        )


def _table(conn: Connection, effect: RepairDrift) -> tuple[sql.Identifier, FeatureTable, str]:
    """The table by name and as described, and its geometry column."""
    name = str(effect.target.table_name)
    row = conn.execute(_SQL["table"], asdict(effect.target)).fetchone()
    if row is None:
        raise NotFound(f"There is no catalogued table {name!r} any more.")
    schema, column, kind, srid = row
    conn.execute(_SQL["impatient"])
    return sql.Identifier(schema, name), FeatureTable(schema, name, str(kind), srid, ()), column


def _index(conn: Connection, effect: RepairDrift) -> None:
    table, _, column = _table(conn, effect)
    if conn.execute(_SQL["has_index"], {"table": table.as_string(conn), "column": column}).fetchone() != (True,):
        conn.execute(sql.SQL(_SQL["create_index"]).format(table=table, column=sql.Identifier(column)))


def _type(conn: Connection, effect: RepairDrift) -> None:
    table, described, column = _table(conn, effect)
    parts = sql.SQL(geometry_type(described)), sql.Literal(described.srid)
    set_column_type(conn, table, column, sql.SQL("geometry({}, {})").format(*parts))


def set_column_type(conn: Connection, table: sql.Identifier, column: str, stated: sql.Composable) -> None:
    """Change what a geometry column says that it holds. Its rows must be so already."""
    statement = sql.SQL(_SQL["set_type"])
    conn.execute(statement.format(table=table, column=sql.Identifier(column), type=stated))


#: What is missing here needs a person.
_MEND: Mapping[DriftKind, Callable[[Connection, RepairDrift], None]] = {
    DriftKind.RECORD_WITHOUT_STAC_ITEM: _rebuild,
    DriftKind.CHANGED_ITEM: _rebuild,
    DriftKind.WRONG_EXTENT: _rebuild,
    DriftKind.WRONG_COUNT: _rebuild,
    DriftKind.WRONG_SRID: _rebuild,
    DriftKind.MISSING_REF: _rebuild,
    DriftKind.BROKEN_BACKLINK: _relink,
    DriftKind.DANGLING_REF: _refer,
    DriftKind.CHANGED_BLOB: _note_etag,
    DriftKind.PUBLISHED_MISMATCH: _show,
    DriftKind.STALE_COLLECTION_EXTENT: _widen,
    DriftKind.STALE_MOSAIC: _mosaic,
    DriftKind.MISSING_SPATIAL_INDEX: _index,
    DriftKind.UNTYPED_GEOMETRY: _type,
}
