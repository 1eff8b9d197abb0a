"""`app.dataset_refs`: which COGs and tables belong to a partner's dataset. They are read in `datasets`."""

from __future__ import annotations

from collections.abc import Sequence

from core.contracts.effects import UpsertDatasetRef
from core.contracts.plans import Collision, Obstacle
from core.errors import TargetExists
from infrastructure.postgres.pool import Connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("dataset_refs")


def apply_upsert_dataset_ref(conn: Connection, effect: UpsertDatasetRef) -> None:
    """Write the reference inside the caller's transaction. Raises TargetExists as `require_own` does."""
    require_own(conn, effect)
    conn.execute(_SQL["upsert"], effect.ref.model_dump(mode="json"))


def require_own(conn: Connection, effect: UpsertDatasetRef) -> None:
    """Raise TargetExists when a client's output has the place of another's: different ids may give the same names."""
    ref = effect.ref
    if ref.client_id is None:
        return  # an operator's job
    if conn.execute(_SQL["of_another"], ref.model_dump(mode="json")).fetchone() == (True,):
        raise TargetExists(
            f"{ref.stac_collection_id}/{ref.stac_item_id} or what it shows belongs to another client.",
            hint="Give another dataset_id, resource_id or version_id.",
        )


def collisions(
    conn: Connection, tables: Sequence[str], items: Sequence[tuple[str, str]], client_id: str
) -> list[Collision]:
    """Which of these tables and items there are; those of another client, or of nobody, block."""
    pairs = {"collections": [c for c, _ in items], "items": [i for _, i in items]}
    wanted = {**pairs, "tables": list(tables), "client_id": client_id}
    found_tables = conn.execute(_SQL["tables_there"], wanted).fetchall()
    found_items = conn.execute(_SQL["items_there"], wanted).fetchall()
    return [
        *(_collision(Obstacle.TABLE, f"geo.{name}", *state) for name, *state in found_tables),
        *(_collision(Obstacle.STAC_ITEM, f"{collection}/{item}", *state) for collection, item, *state in found_items),
    ]


def _collision(kind: Obstacle, name: str, published: bool, others: bool) -> Collision:
    state = "belongs to another client" if others else f"exists and is {'' if published else 'not '}published"
    return Collision(kind=kind, name=name, message=f"{name} {state}.", blocks=others)
