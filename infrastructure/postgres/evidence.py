"""Both revisions of the items under review, from the catalogue and from what waits beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from psycopg.rows import dict_row

from core.contracts.effects import (
    CatalogFeatureTable,
    Effect,
    ExtendCollection,
    MergeFeatureTable,
    SwapFeatureTable,
    UpsertCogMetadata,
    UpsertStacItem,
)
from core.contracts.evidence import ItemUnderReview, Snapshot
from core.models.approvals import ReviewedItemState
from core.models.artifacts import Artifact
from core.models.catalog import GeoTableCatalog, VectorEtlTracking
from core.models.cogs import CogMetadata
from core.states import ArtifactStatus
from infrastructure.pgstac import get_item
from infrastructure.postgres import held
from infrastructure.postgres.pool import Connection, Pool, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("evidence")


class PostgresEvidence:
    """Evidence over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def of(self, approval_id: str, limit: int) -> list[ItemUnderReview]:
        """The first items of a review, in one consistent look."""
        with transaction(self._pool) as conn:
            conn.execute(_SQL["one_look"])
            return reviewed(conn, approval_id, limit)


def reviewed(conn: Connection, approval_id: str, limit: int | None = None) -> list[ItemUnderReview]:
    """The items of a review, as the caller's transaction sees them."""
    rows = conn.execute(_SQL["items"], {"approval_id": approval_id, "limit": limit}).fetchall()
    return [_item(conn, approval_id, *row) for row in rows]


def _item(conn: Connection, approval_id: str, collection: str, item: str, state: str) -> ItemUnderReview:
    artifact = _artifact(conn, approval_id, collection, item)
    served = _served(conn, collection, item)
    draft = artifact is not None and artifact.status is ArtifactStatus.DRAFT
    new = _snapshot(held.held(conn, [artifact.artifact_id])) if artifact is not None and draft else served
    return ItemUnderReview(
        collection, item, ReviewedItemState(state), artifact, draft, new, served if draft and served.item else None
    )


def _snapshot(effects: Iterable[Effect]) -> Snapshot:
    """What the effects of a draft would make."""
    found = Snapshot()
    for effect in effects:
        match effect:
            case UpsertStacItem():
                found = replace(found, item=effect.item)
            case ExtendCollection():
                found = replace(found, item=effect.items[0])
            case UpsertCogMetadata():
                found = replace(found, cog=effect.record)
            case SwapFeatureTable() | MergeFeatureTable():
                found = replace(found, table=effect.catalog, tracking=effect.tracking, staging=effect.staging)
            case CatalogFeatureTable():
                found = replace(found, table=effect.catalog)
            case _:
                pass  # removals and references show nothing
    return found


def _served(conn: Connection, collection: str, item: str) -> Snapshot:
    names = {"collection_id": collection, "item_id": item}
    with conn.cursor(row_factory=dict_row) as cursor:
        cog = cursor.execute(_SQL["cog"], names).fetchone()
        table = cursor.execute(_SQL["table"], names).fetchone()
        tracking = cursor.execute(_SQL["tracking"], names).fetchone()
    return Snapshot(
        item=get_item(conn, collection, item),
        cog=CogMetadata.model_validate(cog) if cog else None,
        table=GeoTableCatalog.model_validate(table) if table else None,
        tracking=VectorEtlTracking.model_validate(tracking) if tracking else None,
    )


def _artifact(conn: Connection, approval_id: str, collection: str, item: str) -> Artifact | None:
    with conn.cursor(row_factory=dict_row) as cursor:
        values = {"approval_id": approval_id, "collection_id": collection, "item_id": item}
        row = cursor.execute(_SQL["artifact"], values).fetchone()
    return Artifact.model_validate(row) if row else None
