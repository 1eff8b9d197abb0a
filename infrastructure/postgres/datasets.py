"""A partner's dataset as the catalogue shows it, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from psycopg import sql
from psycopg.rows import class_row, dict_row
from pydantic import JsonValue

from core.contracts.principals import Principal
from infrastructure.postgres.pool import Pool, connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("datasets")
_OUTPUTS = 1000
Row = dict[str, JsonValue]


@dataclass(frozen=True)
class DatasetItem:
    """An item of a dataset. `bbox` is west, south, east, north in degrees."""

    stac_collection_id: str
    stac_item_id: str
    dataset_id: str
    resource_id: str | None
    version_id: str | None
    data_type: str
    cog_id: str | None
    table_name: str | None
    etl_job_id: str | None
    published: bool | None
    access_level: str | None
    bbox: list[float]
    start_datetime: datetime
    end_datetime: datetime
    updated_at: datetime

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Where it is in the dataset's list."""
        return (self.resource_id or "", self.version_id or "", self.stac_collection_id, self.stac_item_id)


@dataclass(frozen=True)
class Wanted:
    """Which items of a dataset; what is None does not matter. `after` is the place of the last one seen."""

    dataset_id: str
    resource_id: str | None = None
    version_id: str | None = None
    data_type: str | None = None
    published: bool | None = None
    after: tuple[str, str, str, str] = ("", "", "", "")


@dataclass(frozen=True)
class Origin:
    """What a job made, every run of it, and every review."""

    outputs: list[Row]
    runs: list[Row]
    reviews: list[Row]


@dataclass(frozen=True)
class Target:
    """Something that can be taken out of the catalogue: an item, with a table when one is behind it."""

    collection_id: str | None
    item_id: str | None
    table_name: str | None
    client_id: str | None
    published: bool
    dataset_id: str | None
    resource_id: str | None
    version_id: str | None
    etl_job_id: str | None


class Datasets:
    """Queries over a pool; each shows what its caller may see."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def items(self, wanted: Wanted, caller: Principal, limit: int) -> list[DatasetItem]:
        """Items of a dataset in order of resource, version and item."""
        keys = ("after_resource", "after_version", "after_collection", "after_item")
        values = {**vars(wanted), **_view(caller), **dict(zip(keys, wanted.after, strict=True)), "limit": limit}
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(DatasetItem)) as cursor:
            return cursor.execute(_SQL["items"], values).fetchall()

    def item(self, collection_id: str, item_id: str, caller: Principal) -> Row | None:
        """One whole STAC item."""
        values = {"collection_id": collection_id, "item_id": item_id, **_view(caller)}
        with connection(self._pool) as conn:
            row = conn.execute(_SQL["item"], values).fetchone()
        return cast("Row", row[0]) if row else None

    def targets(self, by: str, **names: str) -> list[Target]:
        """What the names mean; `by` says which they are: job, dataset, table, item or collection."""
        statement = sql.SQL(_SQL["targets"]).format(condition=sql.SQL(_SQL[f"targets_of_{by}"]))
        with connection(self._pool) as conn, conn.cursor(row_factory=class_row(Target)) as cursor:
            return cursor.execute(statement, names, prepare=False).fetchall()

    def origin(self, job_id: str) -> Origin:
        """Where the outputs of a job came from."""
        values = {"job_id": job_id, "limit": _OUTPUTS}
        with connection(self._pool) as conn, conn.transaction(), conn.cursor(row_factory=dict_row) as cursor:
            found = [cursor.execute(_SQL[name], values).fetchall() for name in ("outputs", "runs", "reviews")]
        return Origin(*cast("list[list[Row]]", found))


def _view(caller: Principal) -> dict[str, object]:
    return {"everything": caller.sees_everything, "client_id": caller.client_id}
