"""The database as an administrator sees it. Nothing here changes it."""

from __future__ import annotations

from infrastructure.administration.activity import DatabaseActivity
from infrastructure.administration.tables import DatabaseTables
from infrastructure.administration.vitals import DatabaseVitals
from infrastructure.postgres.pool import Pool


class DatabaseAdministration:
    """What there is, what happens, and how it is."""

    def __init__(self, pool: Pool) -> None:
        self.tables = DatabaseTables(pool)
        self.activity = DatabaseActivity(pool)
        self.vitals = DatabaseVitals(pool)
