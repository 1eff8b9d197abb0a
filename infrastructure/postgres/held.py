"""Effects that wait in `app.held_effects`, and their tables beside the published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import get_args

from pydantic import TypeAdapter

from core.contracts.effects import Effect, MergeFeatureTable, SwapFeatureTable
from core.contracts.tables import STAGING_MARK, staging_view
from infrastructure.postgres import feature_changes
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("artifacts")
_KINDS: Mapping[str, type[Effect]] = {kind.__name__: kind for kind in get_args(Effect)}


@cache
def _adapter(kind: str) -> TypeAdapter[Effect]:
    return TypeAdapter(_KINDS[kind])


def hold(conn: Connection, artifact_id: str, effect: Effect) -> None:
    """Keep an effect for later. A staging table gets a name that no attempt uses and no timer drops."""
    if isinstance(effect, SwapFeatureTable | MergeFeatureTable):
        effect = replace(effect, staging=put_aside(conn, effect.schema, effect.staging, effect.table, artifact_id))
    keep(conn, artifact_id, effect)


def keep(conn: Connection, artifact_id: str, effect: Effect) -> None:
    """Write an effect down as it is."""
    kind = type(effect).__name__
    payload = _adapter(kind).dump_json(effect).decode()
    conn.execute(_SQL["hold"], {"artifact_id": artifact_id, "kind": kind, "payload": payload})


def held(conn: Connection, artifact_ids: Sequence[str]) -> list[Effect]:
    """What some artifacts wait for, in the order in which it was asked for."""
    rows = conn.execute(_SQL["held"], {"artifact_ids": list(artifact_ids)}).fetchall()
    return [_adapter(kind).validate_json(payload) for kind, payload in rows]


def forget(conn: Connection, artifact_ids: Sequence[str]) -> None:
    """The effects are carried out, or will never be."""
    conn.execute(_SQL["forget"], {"artifact_ids": list(artifact_ids)})


def drop_tables(conn: Connection, artifact_id: str) -> None:
    """Drop the tables that wait for an artifact, with their tile views. Raises TargetChanged for one in use."""
    for effect in held(conn, [artifact_id]):
        if isinstance(effect, SwapFeatureTable | MergeFeatureTable):
            feature_changes.drop_waiting(conn, effect.schema, effect.staging)


def put_aside(
    conn: Connection, schema: str, current: str, table: str, artifact_id: str, view: str | None = None
) -> str:
    """Give a table, and its tile view, the names under which they wait for an artifact; the table's.

    Raises TargetChanged when it is in use.
    """
    row = conn.execute(_SQL["count_held"], {"artifact_id": artifact_id}).fetchone()
    # Not eight hex digits, as attempts have.
    suffix = f"{STAGING_MARK}h{artifact_id[4:16]}_{row[0] if row else 0}"
    name = table.encode()[: 63 - len(suffix)].decode(errors="ignore") + suffix
    feature_changes.rename_with_view(conn, schema, current, view or staging_view(current), name)
    return name
