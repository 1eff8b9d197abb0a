"""Migrates the pgSTAC of the database whose address is on standard input.

A process of its own: importing pypgstac replaces psycopg's JSON functions for the whole process. The address comes
on standard input because arguments are visible to every user of the machine.
"""

import sys

from pypgstac.db import PgstacDB
from pypgstac.migrate import Migrate


def main() -> None:
    """Migrate to the version that the installed pypgstac brings."""
    with PgstacDB(dsn=sys.stdin.read()) as db:
        Migrate(db).run_migration()


if __name__ == "__main__":
    main()
