"""How does an idle worker hear of new work? LISTEN on a connection of its own, with a poll as the safety net."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from infrastructure.postgres.pool import translated


class Wakeups:
    """Waits for `geomachine_work`. A lost notification only costs the rest of the wait."""

    def __init__(self, conninfo: str | Callable[[], str]) -> None:
        self._conninfo = conninfo
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None

    def wait(self, seconds: float) -> None:
        """Return when work is announced or the time is over. Raises DatabaseUnavailable."""
        with translated():
            try:
                if self._connection is None:
                    info = self._conninfo if isinstance(self._conninfo, str) else self._conninfo()
                    self._connection = psycopg.connect(info, autocommit=True, application_name="geomachine-wakeups")
                    self._connection.execute("LISTEN geomachine_work")
                    return  # work announced before we listened is found by looking once more
                for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                    pass
            except psycopg.Error:
                self.close()
                raise

    def close(self) -> None:
        """Give the connection back; the next wait opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
