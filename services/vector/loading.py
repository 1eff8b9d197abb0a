"""Reading, cleaning and writing as one stream: two batches wait at most, so memory does not grow with the file."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa

from core.contracts.vector import TablePlan
from services.vector.findings import Findings
from services.vector.geometry import GeometryTarget, cleaned
from services.vector.values import converted

_WAITING = 2
_POLL = 0.2


class Load:
    """One pass over a file. `rows_read` counts what came in, whatever became of it."""

    def __init__(self, plan: TablePlan, target: GeometryTarget, findings: Findings) -> None:
        self._plan, self._target, self._findings = plan, target, findings
        self.rows_read = 0

    def table_batches(self, source: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches as the table takes them: `id`, columns, `geom`. Ids are positions in the file, from 1."""
        for batch in source:
            ids = np.arange(self.rows_read + 1, self.rows_read + 1 + batch.num_rows, dtype=np.int64)
            self.rows_read += batch.num_rows
            clean = cleaned(batch.column(batch.num_columns - 1), ids, self._target, self._findings)
            if clean.keep is not None:
                batch, ids = batch.filter(pa.array(clean.keep)), ids[clean.keep]
            if batch.num_rows:
                yield self._table_batch(batch, ids, clean.geometry)

    def _table_batch(self, batch: pa.RecordBatch, ids: np.ndarray, geometry: pa.Array) -> pa.RecordBatch:
        columns = [
            converted(batch.column(i), column.sql_type, ids, self._findings)
            for i, column in enumerate(self._plan.columns)
        ]
        names = ["id", *(c.name for c in self._plan.columns), "geom"]
        return pa.RecordBatch.from_arrays([pa.array(ids), *columns, geometry], names=names)


def in_background(source: Iterable[pa.RecordBatch], on_batch: Callable[[], None]) -> Iterator[pa.RecordBatch]:
    """Run `source` in a thread, a few batches ahead. Its error is raised here; when nobody reads on, it stops.

    `on_batch` is called in the reading thread before each batch and may raise.
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
