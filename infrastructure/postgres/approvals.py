"""Approval records as they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg import sql
from psycopg.rows import dict_row

from core.errors import Conflict, NotFound
from core.models.approvals import DatasetApproval, ReviewedItemState
from core.states import ApprovalStatus
from infrastructure.postgres.pool import Connection, Pool, connection
from infrastructure.postgres.queries import Queries

_SQL = Queries("approvals")


@dataclass(frozen=True)
class ApprovalFilter:
    """Which records; what is None does not matter. `before` is the number of the last one seen."""

    status: str | None = None
    classification: str | None = None
    dataset_id: str | None = None
    collection_id: str | None = None
    job_id: str | None = None
    client_id: str | None = None
    before: int | None = None


@dataclass(frozen=True)
class Named:
    """One of the ids by which callers mean a record."""

    approval_id: str | None = None
    stac_item_id: str | None = None
    job_id: str | None = None
    request_id: str | None = None

    def __str__(self) -> str:
        return ", ".join(f"{name} {value!r}" for name, value in vars(self).items() if value is not None)


@dataclass(frozen=True)
class Step:
    """What happened to a record: a change of state, or a consent that left it pending."""

    at: datetime
    from_status: str | None
    to_status: str
    by: str | None
    reason: str | None


class PostgresApprovals:
    """Records over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def page(self, wanted: ApprovalFilter, limit: int, offset: int = 0) -> list[DatasetApproval]:
        """Records, newest first."""
        given = {name: value for name, value in vars(wanted).items() if value is not None}
        conditions = sql.SQL(" ").join(sql.SQL(_SQL[f"with_{name}"]) for name in given)
        statement = sql.SQL(_SQL["page"]).format(conditions=conditions)
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(statement, {**given, "limit": limit, "offset": offset}, prepare=False)
            return [DatasetApproval.model_validate(row) for row in rows]

    def counts(self, client_id: str | None = None) -> dict[str, int]:
        """How many records are in each state."""
        with connection(self._pool) as conn:
            found = dict(conn.execute(_SQL["counts"], {"client_id": client_id}).fetchall())
        return {status.value: int(found[status.value]) for status in ApprovalStatus if status.value in found}

    def get(self, approval_id: str) -> DatasetApproval:
        """One record. Raises NotFound."""
        with connection(self._pool) as conn:
            found = one(conn, _SQL["get"], {"approval_id": approval_id})
        if found is None:
            raise NotFound(f"There is no approval {approval_id[:100]!r}.")
        return found

    def find(self, named: Named, status: ApprovalStatus, client_id: str | None = None) -> DatasetApproval:
        """The record that the ids mean; of several the one in that state, else the newest.

        Raises NotFound, and Conflict for an item id that means items of several collections.
        """
        values = {**vars(named), "status": status.value, "client_id": client_id}
        with connection(self._pool) as conn:
            found = one(conn, _SQL["find"], values)
            if found is None:
                raise NotFound(f"There is no approval with {named}.")
            ambiguous = conn.execute(_SQL["ambiguous"], {**values, "status": found.status.value}).fetchone()
        if ambiguous == (True,):
            raise Conflict(f"Records of several collections have {named}.", hint="Give the approval_id.")
        return found

    def of_job(self, job_id: str) -> DatasetApproval | None:
        """The record that a job's result opened."""
        with connection(self._pool) as conn:
            return one(conn, _SQL["of_job"], {"job_id": job_id})

    def items(self, approval_id: str) -> list[tuple[str, str, ReviewedItemState]]:
        """What a review covers: collection, item and what the review has to do with it."""
        with connection(self._pool) as conn:
            rows = conn.execute(_SQL["items"], {"approval_id": approval_id})
            return [(collection, item, ReviewedItemState(state)) for collection, item, state in rows]

    def history(self, approval_id: str) -> list[Step]:
        """Every step of a record, oldest first; also of one that is gone."""
        with connection(self._pool) as conn:
            return [Step(*row) for row in conn.execute(_SQL["history"], {"approval_id": approval_id})]

    def votes(self, approval_id: str) -> list[str]:
        """Who has consented so far."""
        with connection(self._pool) as conn:
            return [name for (name,) in conn.execute(_SQL["votes"], {"approval_id": approval_id})]

    def standing(
        self, items: Sequence[str], collections: Sequence[str], tables: Sequence[str], client_id: str | None = None
    ) -> dict[str, DatasetApproval]:
        """For every name that a record, of one client if asked, speaks of, the one that says how it stands."""
        asked: Mapping[str, Sequence[str]] = {"items": items, "collections": collections, "tables": tables}
        found: dict[str, DatasetApproval] = {}
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            for kind, names in asked.items():
                for row in cursor.execute(_SQL[f"standing_of_{kind}"], {kind: list(names), "client_id": client_id}):
                    name = str(row.pop("name"))
                    found[name] = DatasetApproval.model_validate(row)
        return found


def one(conn: Connection, statement: LiteralString, parameters: Mapping[str, object]) -> DatasetApproval | None:
    """The record that a statement of ours answers, if any."""
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(statement, parameters).fetchone()
    return DatasetApproval.model_validate(row) if row else None
