"""How does an idle worker hear of new work? LISTEN on a connection of its own, with a poll as the safety net."""

from __future__ import annotations

import psycopg

from infrastructure.postgres.login import TokenLogin, connection_class
from infrastructure.postgres.pool import Connection, translated


class Wakeups:
    """Waits for `geomachine_work`. A lost notification only costs the rest of the wait."""

    def __init__(self, login: str | TokenLogin) -> None:
        self._login = login
        self._connection: Connection | None = None

    def wait(self, seconds: float) -> bool:
        """True when work may have been announced, False when the time is over. Raises DatabaseUnavailable."""
        with translated():
            try:
                if self._connection is None:
                    self._connection = self._connect()
                    self._connection.execute("LISTEN geomachine_work")
                    return True  # work announced before we listened is found by looking once more
                return any(True for _ in self._connection.notifies(timeout=seconds, stop_after=1))
            except psycopg.Error:
                self.close()
                raise

    def _connect(self) -> Connection:
        info = self._login if isinstance(self._login, str) else self._login()
        return connection_class(self._login).connect(info, autocommit=True, application_name="geomachine-wakeups")

    def close(self) -> None:
        """Give the connection back; the next wait opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
