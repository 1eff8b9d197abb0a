"""Changing the database as a whole: what would be done, a token that confirms just that, and the deed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from config import DatabaseSettings
from core.contracts.principals import Principal
from core.errors import Conflict, InvalidRequest
from core.schema.table import SCHEMAS
from infrastructure.administration.orders import MaintenanceAction, Order, Token
from infrastructure.administration.reading import reading, rows
from infrastructure.administration.tables import SchemaSize
from infrastructure.postgres import schema
from infrastructure.postgres.login import conninfo_now
from infrastructure.postgres.pool import Pool
from infrastructure.postgres.queries import Queries

_SQL = Queries("admin_maintenance")
_LIFE = timedelta(minutes=10)


class Maintenance:
    """Carries out orders on the database of the settings."""

    def __init__(
        self, pool: Pool, settings: DatabaseSettings, cleanup: Callable[[float], int], now: Callable[[], datetime]
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._cleanup = cleanup
        self._now = now

    def report(self) -> schema.MigrationReport:
        """How the database differs from the models."""
        return schema.SchemaAnalyzer(conninfo_now(self._settings)).generate_migration_report()

    def outlook(self, order: Order) -> Mapping[str, JsonValue]:
        """What the order would do. Changes nothing."""
        match order.action:
            case MaintenanceAction.CHECK | MaintenanceAction.ENSURE:
                report = self.report()
                return {"additive": [str(d) for d in report.additive], "left": [str(d) for d in report.destructive]}
            case MaintenanceAction.CLEANUP:
                with reading(self._pool) as conn:
                    archived, dropped = conn.execute(_SQL["cleanable"], {"days": order.days}).fetchone() or (0, 0)
                return {"jobs_to_archive": archived, "jobs_to_drop": dropped, "days": order.days}
            case MaintenanceAction.REBUILD:
                with reading(self._pool) as conn:
                    held = rows(conn, SchemaSize, _SQL["contents"], {"schemas": [*SCHEMAS, "pgstac"]})
                return {"schemas_to_drop": [vars(each) for each in held]}

    def token(self, order: Order, caller: Principal) -> Token:
        """What confirms this order."""
        ends = self._now().replace(microsecond=0) + _LIFE
        return Token(self._sign(order, caller, int(ends.timestamp())), ends)

    def confirm(self, order: Order, caller: Principal, token: str) -> None:
        """Raises InvalidRequest for a token of another order or caller, Conflict for one that is too old."""
        seconds, _, _ = token.partition("-")
        ends = int(seconds) if seconds.isascii() and seconds.isdigit() and len(seconds) < 12 else 0
        if self._sign(order, caller, ends) != token:
            raise InvalidRequest(
                "token: it confirms something else: another action, caller or database, or one that was rebuilt since.",
                hint="Send the request without confirm, and repeat it with the token of the answer.",
            )
        if ends < self._now().timestamp():
            raise Conflict("The token has expired.", hint="Send the request without confirm, and use the new token.")

    def ensure(self) -> schema.EnsureReport:
        """Add what is missing."""
        return schema.ensure(conninfo_now(self._settings))

    def rebuild(self, agreed: Callable[[], None]) -> schema.EnsureReport:
        """Drop every schema of ours and pgSTAC's, and make them anew; `agreed` raises where that was done meanwhile."""
        return schema.rebuild(conninfo_now(self._settings), agreed)

    def cleanup(self, days: int) -> int:
        """Archive jobs that ended so many days ago, and drop those that were archived; how many."""
        return self._cleanup(days)

    def _sign(self, order: Order, caller: Principal, ends: int) -> str:
        # No secret: the route wants an admin anyway. The token is a second look, bound to what was looked at.
        with reading(self._pool) as conn:
            database, making = conn.execute(_SQL["identity"]).fetchone() or ("", 0)
        said = (order.action.value, str(order.days), caller.client_id, caller.name, database, str(making), str(ends))
        return f"{ends}-{hashlib.sha256('|'.join(said).encode()).hexdigest()[:32]}"


def from_settings(pool: Pool, settings: DatabaseSettings, cleanup: Callable[[float], int]) -> Maintenance:
    """On this process's own database."""
    return Maintenance(pool, settings, cleanup, lambda: datetime.now(UTC))
