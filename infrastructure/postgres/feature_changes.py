"""How loaded rows reach a published table: by taking its place, or by joining its rows. In the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

from core.contracts.effects import MergeFeatureTable, SwapFeatureTable
from core.contracts.tables import item_taken, require_item, staging_view
from core.errors import Conflict, DuplicateKey, TargetChanged, TargetExists
from core.models.catalog import FeatureCollectionStyle, GeoTableCatalog, VectorEtlTracking
from infrastructure.postgres import feature_reads
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.queries import Queries

_Q = Queries("feature_changes")
_COMMON = Queries("feature_common")
_PUBLICATION = ("published", "published_at", "created_at")
_REPLACED = [name for name in GeoTableCatalog.model_fields if name not in ("table_name", *_PUBLICATION)]
_TRACKED = [name for name in VectorEtlTracking.model_fields if name not in ("table_name", "etl_job_id", "created_at")]


def apply_swap(conn: Connection, effect: SwapFeatureTable) -> None:
    """Rename the staging table to its published name and write its catalogue rows.

    Raises TargetExists when a table is there that the effect may not replace, Conflict when it cannot be dropped or
    is another item's.
    """
    names = {"schema": effect.schema, "table": effect.table, "name": effect.table}
    conn.execute(_COMMON["serialize_change"], names)
    kind = conn.execute(_COMMON["relation_kind"], names).fetchone()
    if kind is not None:
        _require_replaceable(effect, kind[0])
        replaced = feature_reads.catalog(conn, effect.table)
        if replaced is not None:
            require_item(replaced, effect.catalog.stac_collection_id, effect.catalog.stac_item_id)
        drop_table(conn, effect.schema, effect.table)
    _rename(conn, "rename_table", effect.schema, effect.staging, effect.table)
    _tidy_index_names(conn, effect.schema, effect.table)
    view = _take_view(conn, effect)
    write_catalog(conn, effect.catalog.model_copy(update={"tile_view": view}))
    conn.execute(_Q["supersede_tracking"], {"table_name": effect.table, "job_id": effect.tracking.etl_job_id})
    _write_tracking(conn, effect.tracking)
    conn.execute(_COMMON["forget_load"], {"staging": effect.staging})
    if effect.style is not None:
        write_style(conn, effect.style)


def apply_merge(conn: Connection, effect: MergeFeatureTable) -> None:
    """Move the rows of the staging table into the published one and write its catalogue rows.

    Raises TargetChanged when somebody else was faster, DuplicateKey when the table has a key twice.
    """
    conn.execute(_COMMON["serialize_change"], {"schema": effect.schema, "table": effect.table})
    row = conn.execute(_Q["lock_catalog"], {"table_name": effect.table}).fetchone()
    if row is None or row[0] != effect.expected:
        raise TargetChanged(f"Table {effect.schema}.{effect.table} changed while rows for it were made.")
    live, staging = sql.Identifier(effect.schema, effect.table), sql.Identifier(effect.schema, effect.staging)
    columns = [*effect.columns, "geom"]
    parts = {"live": live, "staging": staging, "columns": _listed(columns)}
    try:
        conn.execute(sql.SQL(_Q["lock_table"]).format(live=live))
        if effect.key:
            _upsert(conn, effect, parts, columns)
        else:
            conn.execute(sql.SQL(_Q["append"]).format(**parts))
    except psycopg.errors.UniqueViolation as e:
        hint = "Choose an upsert_key that has it" if effect.key else "Send write_mode=upsert to replace such rows"
        where = f"{effect.schema}.{effect.table}"
        raise DuplicateKey(f"{where}: {e.diag.message_detail}", hint=f"{hint}, or leave them out.") from e
    except psycopg.errors.UndefinedTable as e:
        raise _gone(effect.schema, effect.staging) from e
    conn.execute(sql.SQL(_COMMON["drop"]).format(table=staging))
    conn.execute(sql.SQL(_COMMON["analyze"]).format(table=live))
    if effect.catalog.tile_view is not None:
        view = sql.Identifier(effect.schema, effect.catalog.tile_view)
        conn.execute(sql.SQL(_Q["refresh_view"]).format(view=view))
    write_catalog(conn, effect.catalog)
    _write_tracking(conn, effect.tracking)
    conn.execute(_COMMON["forget_load"], {"staging": effect.staging})


def drop_table(conn: Connection, schema: str, table: str) -> None:
    """Drop a published table with its tile view. Raises Conflict when it is in use or others build on it."""
    row = conn.execute(_Q["tile_view"], {"table_name": table}).fetchone()
    try:
        with _impatient(conn, schema, table):
            if row is not None and row[0] is not None:
                conn.execute(sql.SQL(_COMMON["drop_view"]).format(view=sql.Identifier(schema, row[0])))
            conn.execute(sql.SQL(_COMMON["drop"]).format(table=sql.Identifier(schema, table)))
    except psycopg.errors.DependentObjectsStillExist as e:
        raise Conflict(
            f"Table {schema}.{table} cannot be replaced or dropped: {str(e).splitlines()[0]}.",
            hint="Drop the views that use it, or publish under another table name.",
        ) from e


def drop_waiting(conn: Connection, schema: str, staging: str) -> None:
    """Drop a table that waits beside the published ones, with its tile view. Raises TargetChanged when it is in use."""
    with _impatient(conn, schema, staging):
        conn.execute(sql.SQL(_COMMON["drop_view"]).format(view=sql.Identifier(schema, staging_view(staging))))
        conn.execute(sql.SQL(_COMMON["drop"]).format(table=sql.Identifier(schema, staging)))


def rename_with_view(conn: Connection, schema: str, current: str, view: str, wanted: str) -> None:
    """Give a table, and its tile view if it has one, the names of an unfinished table and its view.

    Raises TargetChanged when it is in use, Conflict when it is gone.
    """
    _rename(conn, "rename_table", schema, current, wanted)
    if conn.execute(_COMMON["relation_kind"], {"schema": schema, "name": view}).fetchone() == ("m",):
        _rename(conn, "rename_view", schema, view, staging_view(wanted))


def write_catalog(conn: Connection, catalog: GeoTableCatalog) -> None:
    """Describe a table; what was published stays published, and its birthday stays.

    Raises Conflict when another table is its item.
    """
    record = catalog.model_dump(mode="json", exclude={*_PUBLICATION, "updated_at"})
    statement = sql.SQL(_Q["upsert_catalog"]).format(columns=_listed(_REPLACED), values=_listed(_REPLACED, "excluded"))
    try:
        conn.execute(statement, {"record": json.dumps(record)})
    except psycopg.errors.UniqueViolation as e:
        raise item_taken(str(catalog.stac_collection_id), str(catalog.stac_item_id), "another table") from e


def write_style(conn: Connection, style: FeatureCollectionStyle) -> None:
    """Give a table a style, unless it has that one: a person may have made it."""
    record = style.model_dump(mode="json", exclude={"created_at", "updated_at"})
    conn.execute(_Q["save_style"], {"record": json.dumps(record)})


def _upsert(
    conn: Connection, effect: MergeFeatureTable, parts: dict[str, sql.Composable], columns: Sequence[str]
) -> None:
    same = feature_reads.match(effect.key)
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(n), sql.Identifier("s", n)) for n in columns
    )
    update = sql.SQL(_Q["update_matching"]).format(**parts, assignments=assignments, match=same)
    updated = conn.execute(update).rowcount
    matching = conn.execute(sql.SQL(_Q["count_matching"]).format(**parts, match=same)).fetchone()
    if matching is None or updated != matching[0]:
        raise DuplicateKey(
            f"Table {effect.schema}.{effect.table} has a value of {', '.join(effect.key)} in more than one row.",
            hint="Choose a key that is unique in the table.",
        )
    conn.execute(sql.SQL(_Q["insert_others"]).format(**parts, match=same))


def _require_replaceable(effect: SwapFeatureTable, kind: str) -> None:
    where = f"{effect.schema}.{effect.table}"
    if kind != "r":
        raise Conflict(f"{where} is not an ordinary table, so it is not replaced.", hint="Choose another table name.")
    if not effect.overwrite:
        raise TargetExists(f"Table {where} exists already.", hint="Send overwrite=true or another table name.")


def _take_view(conn: Connection, effect: SwapFeatureTable) -> str | None:
    staged = staging_view(effect.staging)
    if conn.execute(_COMMON["relation_kind"], {"schema": effect.schema, "name": staged}).fetchone() is None:
        return None
    name = _cut(effect.table, "_tiles")
    if _taken(conn, effect.schema, name):
        raise Conflict(
            f"{effect.schema}.{name}, the name of the tile view, is taken.", hint="Choose another table name."
        )
    _rename(conn, "rename_view", effect.schema, staged, name)
    _tidy_index_names(conn, effect.schema, name)
    return name


def _rename(conn: Connection, block: str, schema: str, current: str, wanted: str) -> None:
    statement = sql.SQL(_Q[block])
    try:
        with _impatient(conn, schema, current):
            conn.execute(statement.format(table=sql.Identifier(schema, current), name=sql.Identifier(wanted)))
    except psycopg.errors.UndefinedTable as e:
        raise _gone(schema, current) from e


@contextmanager
def _impatient(conn: Connection, schema: str, table: str) -> Iterator[None]:
    """Wait some seconds for whoever reads or writes the table, then raise TargetChanged: others wait behind us."""
    conn.execute(_Q["impatient"])
    try:
        yield
    except psycopg.errors.LockNotAvailable as e:
        raise TargetChanged(f"Table {schema}.{table} is in use.") from e
    conn.execute(_Q["patient"])


def _gone(schema: str, staging: str) -> Conflict:
    return Conflict(
        f"The loaded table {schema}.{staging} was tidied away before it could be used.", hint="Resubmit the job."
    )


def _tidy_index_names(conn: Connection, schema: str, table: str) -> None:
    found = conn.execute(_Q["indexes"], {"table": sql.Identifier(schema, table).as_string(conn)}).fetchall()
    for current, primary, column in found:
        wanted = _cut(table, "_pkey" if primary else f"_{column}_idx")
        number = 0
        while _taken(conn, schema, wanted):
            number += 1
            wanted = _cut(table, f"_{number}_pkey" if primary else f"_{column}_idx{number}")
        conn.execute(
            sql.SQL(_Q["rename_index"]).format(index=sql.Identifier(schema, current), name=sql.Identifier(wanted))
        )


def _taken(conn: Connection, schema: str, name: str) -> bool:
    return conn.execute(_Q["name_taken"], {"schema": schema, "name": name}).fetchone() == (True,)


def _cut(table: str, suffix: str) -> str:
    """A name of at most 63 bytes that keeps its end."""
    suffix = suffix.encode()[-50:].decode(errors="ignore")
    return table.encode()[: 63 - len(suffix.encode())].decode(errors="ignore") + suffix


def _write_tracking(conn: Connection, tracking: VectorEtlTracking) -> None:
    statement = sql.SQL(_Q["upsert_tracking"]).format(columns=_listed(_TRACKED), values=_listed(_TRACKED, "excluded"))
    conn.execute(statement, {"record": json.dumps(tracking.model_dump(mode="json", exclude={"created_at"}))})


def _listed(names: Sequence[str], table: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(table, name) if table else sql.Identifier(name) for name in names)
