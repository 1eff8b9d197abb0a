"""Parts of a GeoPackage's layer as ranges of feature ids: SQLite finds the first row of one without the rows before."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.contracts.vector import Partition
from services.vector.readers import ranges, runs

_KEYED = """
    select 1 from sqlite_master as m, pragma_table_info(m.name) as c
    where m.type = 'table' and m.name = ? and c.name = ? and c.pk = 1 and upper(c.type) = 'INTEGER'
"""


@dataclass(frozen=True)
class FeatureIds:
    """The column of a table whose integers are its key, and so the order in which its rows are read."""

    path: Path
    table: str
    column: str

    def condition(self, part: Partition) -> str:
        """Chooses the part's rows; its unit is the id."""
        return f"{_quoted(self.column)} >= {part.start} AND {_quoted(self.column)} < {part.stop}"

    def partitions(self, features: int, wanted: int) -> tuple[Partition, ...]:
        """At most `wanted` parts of as many rows each; whatever the ids are, every row is in one of them."""
        with _opened(self.path) as file:
            # Apart, each of the two is found at once.
            ends = self._sql("select (select min({id}) from {table}), (select max({id}) from {table})")
            first, last = file.execute(ends).fetchone()
            if last - first + 1 == features:
                starts = [(first + part.start, part.start) for part in ranges(features, wanted)]
            else:
                (features,) = file.execute(self._sql("select count(*) from {table}")).fetchone()
                starts = list(self._starts(file, first, -(-features // wanted)))
            return runs(starts, (last + 1, features), wanted)

    def _starts(self, file: sqlite3.Connection, first: int, rows: int) -> Iterator[tuple[int, int]]:
        """The first id of every `rows` rows, and how many come before it."""
        after = self._sql("select {id} from {table} where {id} >= ? order by {id} limit 1 offset ?")
        found: tuple[int] | None = (first,)
        before = 0
        while found is not None:
            yield found[0], before
            found = file.execute(after, (found[0], rows)).fetchone()
            before += rows

    def _sql(self, template: str) -> str:
        return template.format(id=_quoted(self.column), table=_quoted(self.table))


def feature_ids(path: Path, layer: str, column: str) -> FeatureIds | None:
    """None for a view, and for a table without a key of integers: their rows have no order of their own."""
    with _opened(path) as file:
        try:
            found = file.execute(_KEYED, (layer, column)).fetchone()
        except sqlite3.DatabaseError:  # damaged: whoever reads it will say so
            return None
    return None if found is None else FeatureIds(path, layer, column)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    # Nobody else writes into the task's own copy.
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        yield connection


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
