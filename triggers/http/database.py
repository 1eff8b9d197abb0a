"""`/api/dbadmin`: looking at the database. Nothing here changes it; PostgreSQL is told to refuse."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, JsonValue

from infrastructure.administration.activity import Running, Sessions, Waiting
from infrastructure.administration.tables import (
    ColumnState,
    EnumType,
    IndexState,
    Privilege,
    Routine,
    SchemaSize,
    TableName,
    TableState,
)
from infrastructure.administration.vitals import CatalogueState, Condition, Performance
from triggers.http.access import TheRuntime
from triggers.http.paging import PLAIN
from triggers.http.scope import Admin

router = APIRouter(prefix="/api/dbadmin", tags=["database"])
Name = Annotated[str, Path(max_length=127, pattern=PLAIN)]
_SLOW_SECONDS = 5.0


class Look(StrEnum):
    """What to show of a table."""

    DETAILS = "details"  #: sizes and the state of vacuum
    COLUMNS = "columns"  #: its columns
    INDEXES = "indexes"  #: its indexes
    SAMPLE = "sample"  #: some rows, for tables of data


class Activity(StrEnum):
    """What to show of what happens."""

    RUNNING = "running"  #: every session that does something
    SLOW = "slow"  #: those that have done it for a while
    LOCKS = "locks"  #: who waits for whom
    CONNECTIONS = "connections"  #: sessions by program and state


class Diagnostic(StrEnum):
    """What to show of our own objects."""

    ENUMS = "enums"  #: types with labels
    FUNCTIONS = "functions"  #: functions by signature
    PRIVILEGES = "privileges"  #: what this process's role may do


class Schemas(BaseModel):
    """Every schema."""

    schemas: Sequence[SchemaSize]


class Tables(BaseModel):
    """The tables of a schema, the largest first."""

    tables: Sequence[TableState]


class TableLook(BaseModel):
    """A table; of the parts, the one that was asked for."""

    table: str
    details: TableState | None = None
    columns: Sequence[ColumnState] | None = None
    indexes: Sequence[IndexState] | None = None
    sample: Sequence[dict[str, JsonValue]] | None = None


class Activities(BaseModel):
    """What happens now; `count` rows of the kind that was asked for."""

    type: Activity
    count: int
    running: Sequence[Running] | None = None
    locks: Sequence[Waiting] | None = None
    connections: Sequence[Sessions] | None = None


class Diagnosis(BaseModel):
    """Objects of the kind that was asked for."""

    type: Diagnostic
    enums: Sequence[EnumType] | None = None
    functions: Sequence[Routine] | None = None
    privileges: Sequence[Privilege] | None = None


@router.get("/schemas")
def schemas(runtime: TheRuntime, _: Admin) -> Schemas:
    """Every schema but the server's own, with its size."""
    return Schemas(schemas=runtime.database.tables.schemas())


@router.get("/schemas/{schema}/tables")
def tables(schema: Name, runtime: TheRuntime, _: Admin) -> Tables:
    """The tables of a schema with sizes, dead rows and the last vacuum. 404 for an unknown schema."""
    return Tables(tables=runtime.database.tables.tables(schema))


@router.get("/tables/{table}")
def table(
    table: Name,
    runtime: TheRuntime,
    _: Admin,
    type: Look = Look.DETAILS,  # noqa: A002  # partners know the parameter by this name
    limit: Annotated[int, Query(ge=1, le=100, description="Of a sample: how many rows.")] = 10,
    offset: Annotated[int, Query(ge=0, le=1_000_000, description="Of a sample: rows to leave out.")] = 0,
    order_by: Annotated[str | None, Query(max_length=63, pattern=PLAIN, description="Of a sample: a column.")] = None,
) -> TableLook:
    """One table as `schema.table`. 404 for an unknown one; 403 for a sample of a table that is not data."""
    name, look = TableName.parse(table), runtime.database.tables
    match type:
        case Look.DETAILS:
            return TableLook(table=table, details=look.table(name))
        case Look.COLUMNS:
            return TableLook(table=table, columns=look.columns(name))
        case Look.INDEXES:
            return TableLook(table=table, indexes=look.indexes(name))
        case Look.SAMPLE:
            return TableLook(table=table, sample=look.sample(name, limit, offset, order_by))


@router.get("/activity")
def activity(
    runtime: TheRuntime,
    _: Admin,
    type: Activity = Activity.RUNNING,  # noqa: A002  # partners know the parameter by this name
    seconds: Annotated[float, Query(ge=0, le=1e6, description="Of slow ones: for how long.")] = _SLOW_SECONDS,
) -> Activities:
    """Running statements, waiting locks, or connections; the longest first."""
    look = runtime.database.activity
    match type:
        case Activity.RUNNING | Activity.SLOW:
            running = look.running(seconds if type is Activity.SLOW else 0.0)
            return Activities(type=type, count=len(running), running=running)
        case Activity.LOCKS:
            locks = look.locks()
            return Activities(type=type, count=len(locks), locks=locks)
        case Activity.CONNECTIONS:
            connections = look.connections()
            return Activities(type=type, count=len(connections), connections=connections)


@router.get("/health")
def health(runtime: TheRuntime, _: Admin) -> Condition:
    """Size, connections, transactions and cache, and warnings with what to do."""
    return runtime.database.vitals.condition()


@router.get("/health/performance")
def performance(runtime: TheRuntime, _: Admin) -> Performance:
    """Tables that are read whole, and indexes that nothing uses."""
    return runtime.database.vitals.performance()


@router.get("/pgstac")
def pgstac(runtime: TheRuntime, _: Admin) -> CatalogueState:
    """The version of pgSTAC, how much it holds and how it is set."""
    return runtime.database.vitals.catalogue()


@router.get("/diagnostics")
def diagnostics(
    runtime: TheRuntime,
    _: Admin,
    type: Diagnostic = Diagnostic.ENUMS,  # noqa: A002  # partners know the parameter by this name
) -> Diagnosis:
    """Our enums, our functions, or what this process's role may do."""
    look = runtime.database.tables
    match type:
        case Diagnostic.ENUMS:
            return Diagnosis(type=type, enums=look.enums())
        case Diagnostic.FUNCTIONS:
            return Diagnosis(type=type, functions=look.functions())
        case Diagnostic.PRIVILEGES:
            return Diagnosis(type=type, privileges=look.privileges())
