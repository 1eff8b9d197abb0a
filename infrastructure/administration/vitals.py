"""How is the database? Its figures, and warnings that say what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from infrastructure.administration.reading import reading, rows
from infrastructure.postgres.pool import Connection, Pool
from infrastructure.postgres.queries import Queries

_SQL = Queries("admin_vitals")
_CONNECTIONS = 0.8  #: of those the server allows
_TRANSACTIONS = 1_000_000_000  #: half way to the end of the numbers
_TRANSACTION_SECONDS = 3600.0
_SHOWN = 20


@dataclass(frozen=True)
class Vitals:
    """The figures of a database. Counters run since `statistics_since`."""

    database: str
    version: str
    bytes: int
    connections: int
    max_connections: int
    transaction_age: int
    longest_transaction_seconds: float
    deadlocks: int
    temp_bytes: int
    commits: int
    rollbacks: int
    statistics_since: datetime | None
    cache_hit_ratio: float | None


@dataclass(frozen=True)
class Concern:
    """Something to look after: what, and what to do."""

    what: str
    fix: str


@dataclass(frozen=True)
class Condition:
    """The figures and what is wrong with them."""

    vitals: Vitals
    warnings: Sequence[Concern]


@dataclass(frozen=True)
class ScannedTable:
    """A table that is read whole."""

    table: str
    sequential_scans: int
    rows_scanned: int
    index_scans: int
    live_rows: int


@dataclass(frozen=True)
class UnusedIndex:
    """An index that nothing uses."""

    index: str
    table: str
    bytes: int


@dataclass(frozen=True)
class Performance:
    """Where time and space go."""

    cache_hit_ratio: float | None
    statistics_since: datetime | None
    scanned_tables: Sequence[ScannedTable]
    unused_indexes: Sequence[UnusedIndex]


@dataclass(frozen=True)
class CatalogueContents:
    """What pgSTAC holds. `items` is the planner's estimate."""

    collections: int
    partitions: int
    items: int
    queued_queries: int
    settings: Mapping[str, JsonValue] | None


@dataclass(frozen=True, kw_only=True)
class CatalogueState(CatalogueContents):
    """pgSTAC: its version beside the one our queries are written for, and what it holds."""

    version: str | None
    wanted_version: str


class DatabaseVitals:
    """Looks over a pool; changes nothing."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def condition(self) -> Condition:
        """The figures, judged."""
        with reading(self._pool) as conn:
            vitals = _vitals(conn)
            bloated = _names(conn, "bloated")
            invalid = _names(conn, "invalid_indexes")
        return Condition(vitals, tuple(_warnings(vitals, bloated, invalid)))

    def performance(self) -> Performance:
        """What is scanned whole, and which indexes nothing uses."""
        with reading(self._pool) as conn:
            vitals = _vitals(conn)
            scanned = rows(conn, ScannedTable, _SQL["scanned_tables"], {"limit": _SHOWN})
            unused = rows(conn, UnusedIndex, _SQL["unused_indexes"], {"limit": _SHOWN})
        return Performance(vitals.cache_hit_ratio, vitals.statistics_since, scanned, unused)

    def catalogue(self) -> CatalogueState:
        """How pgSTAC is."""
        # What compares schemas takes a second to load, and only administrators ask.
        from infrastructure.postgres.schema import pgstac

        with reading(self._pool) as conn:
            version = pgstac.installed(conn)
            (held,) = (
                rows(conn, CatalogueContents, _SQL["pgstac"]) if version else [CatalogueContents(0, 0, 0, 0, None)]
            )
        return CatalogueState(version=version, wanted_version=pgstac.wanted(), **vars(held))


def _vitals(conn: Connection) -> Vitals:
    (found,) = rows(conn, Vitals, _SQL["vitals"])
    return found


def _names(conn: Connection, query: str) -> list[str]:
    return [str(row[0]) for row in conn.execute(_SQL[query])]


def _warnings(vitals: Vitals, bloated: Sequence[str], invalid: Sequence[str]) -> list[Concern]:
    found = []
    if vitals.connections > _CONNECTIONS * vitals.max_connections:
        found.append(
            Concern(
                f"{vitals.connections} of {vitals.max_connections} connections are taken.",
                "Lower DOCKER_DB_POOL_MAX, run fewer processes, or put a pooler in between.",
            )
        )
    if vitals.transaction_age > _TRANSACTIONS:
        found.append(
            Concern(
                f"The oldest row is {vitals.transaction_age} transactions old; PostgreSQL stops at 2,000 million.",
                "Run VACUUM FREEZE, and see what keeps autovacuum from it.",
            )
        )
    if vitals.longest_transaction_seconds > _TRANSACTION_SECONDS:
        found.append(
            Concern(
                f"A transaction is open for {vitals.longest_transaction_seconds:.0f} s; dead rows stay meanwhile.",
                "GET /api/dbadmin/activity?type=running shows whose it is.",
            )
        )
    found += [Concern(f"{name} has many dead rows.", f"Run VACUUM (ANALYZE) {name}.") for name in bloated]
    found += [Concern(f"The index {name} is invalid.", f"Run REINDEX INDEX CONCURRENTLY {name}.") for name in invalid]
    return found
