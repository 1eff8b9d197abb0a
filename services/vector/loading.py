"""Reading, cleaning and writing as one stream: a few batches wait at most, so memory does not grow with the file."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.contracts.vector import ProcessVectorParameters, SourcePlan, TablePlan
from core.contracts.vector_formats import VectorFormat
from services.vector import extents, families, reference_systems, wkb
from services.vector.duplicates import Repeats, Seen
from services.vector.findings import Findings
from services.vector.geometry import GeometryTarget, cleaned
from services.vector.reference_systems import Bounds
from services.vector.values import converted

_WAITING = 2
_POLL = 0.2


class Load:
    """One pass over a partition. `rows_read` counts what came in; of each table `findings` tell what became of it,
    `bounds` how far its rows reach.

    The first table's batches are handed on as they are read; those of the others wait in files below `spool`, since
    a connection copies into one table at a time.
    """

    def __init__(
        self,
        tables: Sequence[TablePlan],
        targets: Sequence[GeometryTarget],
        spool: Path,
        first_id: int = 1,
    ) -> None:
        self._tables, self._targets, self._spool, self._first_id = tables, targets, spool, first_id
        self.findings = [Findings() for _ in tables]
        self.bounds: list[Bounds | None] = [None for _ in tables]
        self._seen = [Seen() if target.options.drop_duplicates else None for target in targets]
        self._repeats = [
            Repeats(spool / f"digests{position}", points=table.geometry_type == "Point")
            for position, table in enumerate(tables)
        ]
        self.rows_read = 0

    def first_batches(self, source: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches as the first table takes them: `id`, columns, `geom`. Ids are positions in the layer, from 1.

        `source` is read in a thread of its own, so that cleaning does not wait for reading.
        """
        sinks: dict[int, pa.ipc.RecordBatchFileWriter] = {}
        read = in_background(source, lambda: None)
        try:
            for batch in read:
                ids = np.arange(batch.num_rows, dtype=np.int64) + self._first_id + self.rows_read
                self.rows_read += batch.num_rows
                for position, made in self._cleaned(batch, ids):
                    if position == 0:
                        yield made
                    else:
                        if position not in sinks:
                            sinks[position] = pa.ipc.new_file(self._spooled(position), made.schema)
                        sinks[position].write_batch(made)
            for repeats, findings in zip(self._repeats, self.findings, strict=True):
                repeats.report(findings)
        finally:
            read.close()
            for sink in sinks.values():
                sink.close()

    def other_batches(self, position: int) -> Iterator[pa.RecordBatch]:
        """The batches of another table, once the first has taken all of its own."""
        path = self._spooled(position)
        if path.exists():
            with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as batches:
                for number in range(batches.num_record_batches):
                    yield batches.get_batch(number)
            path.unlink()

    def _spooled(self, position: int) -> Path:
        return self._spool / f"table{position}.arrow"

    def _cleaned(self, batch: pa.RecordBatch, ids: np.ndarray) -> Iterator[tuple[int, pa.RecordBatch]]:
        if len(self._tables) == 1:
            yield from self._table_batch(0, batch, ids)
            return
        # What has no kind, or one that no table was planned for, is counted by the first table.
        chosen = families.positions(wkb.kinds(wkb.bytes_of(batch.column(batch.num_columns - 1))), self._tables)
        for position in np.unique(chosen):
            rows = chosen == position
            yield from self._table_batch(int(position), batch.filter(pa.array(rows)), ids[rows])

    def _table_batch(
        self, position: int, batch: pa.RecordBatch, ids: np.ndarray
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        findings = self.findings[position]
        clean = cleaned(batch.column(batch.num_columns - 1), ids, self._targets[position], findings)
        self.bounds[position] = extents.together((self.bounds[position], clean.bounds))
        if clean.keep is not None:
            batch, ids = batch.filter(pa.array(clean.keep)), ids[clean.keep]
        if not batch.num_rows:
            return
        planned = self._tables[position].columns
        columns = [converted(batch.column(i), c.sql_type, ids, findings) for i, c in enumerate(planned)]
        names = ["id", *(c.name for c in planned), "geom"]
        made = pa.RecordBatch.from_arrays([pa.array(ids), *columns, clean.geometry], names=names)
        seen = self._seen[position]
        if seen is None:
            self._repeats[position].note(made)
        yield position, made if seen is None else seen.without_repeats(made, findings)


def cleaning_target(source: SourcePlan, table: TablePlan, parameters: ProcessVectorParameters) -> GeometryTarget:
    """What cleaning brings the geometries to that go from a layer into one of its tables."""
    family = families.family_of(table.geometry_type)
    return GeometryTarget(
        family=family.name,
        has_z=family.has_z,
        degrees=table.srid == 4326,
        transformer=reference_systems.transformation(source.crs, parameters.target_crs, source.area),
        options=parameters.geometry_params,
        has_m=family.has_m,
        on_invalid=parameters.on_invalid,
        geojson=source.format in (VectorFormat.GEOJSON, VectorFormat.GEOJSONSEQ),
    )


def in_background(source: Iterable[pa.RecordBatch], on_batch: Callable[[], None]) -> Generator[pa.RecordBatch]:
    """Run `source` in a thread, a few batches ahead. Its error is raised here; when nobody reads on, it stops.

    `on_batch` is called before each batch in the thread that takes it, and may raise.
    """
    waiting: queue.Queue[pa.RecordBatch | BaseException | None] = queue.Queue(_WAITING)
    abandoned = threading.Event()

    def offer(entry: pa.RecordBatch | BaseException | None) -> bool:
        # A plain put would wait for ever on a full queue once the writer has failed.
        while not abandoned.is_set():
            try:
                waiting.put(entry, timeout=_POLL)
            except queue.Full:
                continue
            return True
        return False

    def produce() -> None:
        try:
            with _left(source):
                for batch in source:
                    if not offer(batch):
                        return
            offer(None)
        except BaseException as e:  # handed to the reading thread, which raises it
            offer(e)

    thread = threading.Thread(target=produce, name="vector-reader", daemon=True)
    thread.start()
    try:
        while (entry := waiting.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            on_batch()
            yield entry
    finally:
        abandoned.set()
        thread.join()


@contextmanager
def _left(source: Iterable[pa.RecordBatch]) -> Iterator[None]:
    """Close a generator here, and not in whatever thread the last reference to it ends."""
    try:
        yield
    finally:
        if isinstance(source, Generator):
            source.close()
