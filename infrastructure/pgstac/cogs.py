"""`app.cog_metadata`: one row per COG."""

from __future__ import annotations

import json

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow, dict_row

from core.contracts.effects import UpsertCogMetadata
from core.errors import NotFound, TargetExists
from core.models.cogs import CogMetadata
from infrastructure.postgres.queries import Queries

_SQL = Queries("cog_metadata")
_REPLACED = [name for name in CogMetadata.model_fields if name not in ("cog_id", "created_at")]


def apply_upsert_cog_metadata(conn: psycopg.Connection[TupleRow], effect: UpsertCogMetadata) -> None:
    """Write the row of a COG inside the caller's transaction. Raises TargetExists when another item owns the file."""
    record = effect.record
    place = {"container": record.container, "blob_path": record.blob_path, "cog_id": record.cog_id}
    owner = conn.execute(_SQL["other_owner"], place).fetchone()
    if owner is not None:
        raise TargetExists(
            f"{record.container}/{record.blob_path} belongs to {owner[0]}, so {record.cog_id} cannot claim it.",
            hint="Give another output_folder.",
        )
    statement = sql.SQL(_SQL["upsert"]).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, _REPLACED)),
        values=sql.SQL(", ").join(sql.Identifier("excluded", name) for name in _REPLACED),
    )
    written = record.model_dump(mode="json", exclude_none=True)
    if record.nodata is not None:
        written["nodata"] = str(record.nodata)  # JSON has no word for not-a-number, PostgreSQL has
    conn.execute(statement, {"record": json.dumps(written)})


def read_cog_metadata(conn: psycopg.Connection[TupleRow], cog_id: str) -> CogMetadata:
    """The row of a COG. Raises NotFound."""
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_SQL["one"], {"cog_id": cog_id}).fetchone()
    if row is None:
        raise NotFound(f"There is no COG {cog_id!r}.", hint="A cog_id is made of collection and item: collection:item.")
    return CogMetadata.model_validate(row)
