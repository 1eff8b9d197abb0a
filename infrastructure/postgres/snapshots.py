"""How this process is configured, and how that changed: taken from the settings, kept in the database."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version

from psycopg.rows import dict_row
from pydantic import JsonValue

from config import Settings, described
from core.models.snapshots import SnapshotTrigger, SystemSnapshot
from core.version import VERSION
from infrastructure.postgres.pool import Connection, Pool, connection, transaction
from infrastructure.postgres.queries import Queries

_SQL = Queries("snapshots")
_PACKAGES = ("rasterio", "pyogrio", "pypgstac", "fastapi", "azure-functions")

Changes = Mapping[str, JsonValue]


class SystemSnapshots:
    """Snapshots of this process, over a pool. `server` tells the versions of the database.

    `process` is the name that processes of one configuration share.
    """

    def __init__(self, pool: Pool, settings: Settings, server: Callable[[], Mapping[str, object]]) -> None:
        self._pool = pool
        self._settings = settings
        self._server = server
        self.process = f"{settings.app.name}/{settings.app.mode.value}"

    def current(self) -> Mapping[str, JsonValue]:
        """How it is now: settings without secrets, and versions."""
        found: dict[str, JsonValue] = {f"setting {name}": value for name, value in described(self._settings).items()}
        found |= {f"version {name}": str(value) for name, value in self._server().items()}
        found |= {f"version {package}": version(package) for package in _PACKAGES}
        return found | {"version geomachine": VERSION, "version python": platform.python_version()}

    def latest(self) -> SystemSnapshot | None:
        """What was stored last."""
        with connection(self._pool) as conn:
            return _latest(conn, self.process)

    def drift(self, current: Mapping[str, JsonValue]) -> Changes:
        """What is otherwise than in the latest one; nothing where there is none."""
        latest = self.latest()
        return changes(latest.snapshot, current) if latest else {}

    def store(self, trigger: SnapshotTrigger) -> tuple[SystemSnapshot, bool]:
        """Keep how it is now. True when that was new; an unchanged configuration is only seen again."""
        current = self.current()
        digest = hashlib.sha256(json.dumps(current, sort_keys=True).encode()).hexdigest()
        with transaction(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            cursor.execute(_SQL["lock"], {"process": self.process})
            latest = _latest(conn, self.process)
            if latest is not None and latest.config_hash == digest:
                row = cursor.execute(_SQL["seen"], {"snapshot_id": latest.snapshot_id}).fetchone()
                return SystemSnapshot.model_validate(row), False
            row = cursor.execute(
                _SQL["store"],
                {
                    "process": self.process,
                    "trigger_type": trigger.value,
                    "config_hash": digest,
                    "snapshot": json.dumps(current),
                    "changes": json.dumps(changes(latest.snapshot, current) if latest else {}),
                    "previous": latest and latest.snapshot_id,
                },
            ).fetchone()
            return SystemSnapshot.model_validate(row), True

    def history(self, process: str | None, before: int | None, limit: int) -> list[SystemSnapshot]:
        """Of this or every process, newest first."""
        values = {"process": process, "before": before, "limit": limit}
        with connection(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            return [SystemSnapshot.model_validate(row) for row in cursor.execute(_SQL["history"], values)]


def changes(before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]) -> Changes:
    """For each name that differs, `[before, after]`; null where it is absent."""
    names = sorted(before.keys() | after.keys())
    return {name: [before.get(name), after.get(name)] for name in names if before.get(name) != after.get(name)}


def _latest(conn: Connection, process: str) -> SystemSnapshot | None:
    with conn.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_SQL["latest"], {"process": process}).fetchone()
    return SystemSnapshot.model_validate(row) if row else None
