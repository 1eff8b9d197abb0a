"""What a scan of GeoJSON parsed, kept beside the file for a load by the same task: Arrow, a file for each block."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa


class Spool:
    """Takes blocks as they are scanned, `most` bytes of them: by default the file's size and half of what is free.

    What does not fit is not worth keeping: the load parses the file again, as it does in another task.
    """

    def __init__(self, path: Path, most: int | None = None) -> None:
        self._folder = _beside(path)
        self._unfinished = self._folder.with_suffix(".unfinished")
        self._left = _room(path) if most is None else most
        self.drop()
        self._unfinished.mkdir()

    def keep(self, start: int, batch: pa.RecordBatch) -> None:
        """The block that begins at that byte."""
        self._left -= batch.get_total_buffer_size()
        if not self._unfinished.exists():
            return
        if self._left < 0:
            self.drop()
            return
        try:
            with (
                pa.OSFile(str(self._unfinished / f"{start}"), "wb") as file,
                pa.ipc.new_stream(file, batch.schema) as to,
            ):
                to.write_batch(batch)
        except OSError:  # others fill the disk too
            self.drop()

    def finish(self) -> None:
        """All blocks are there."""
        if self._unfinished.exists():
            self._unfinished.rename(self._folder)

    def drop(self) -> None:
        """Keep nothing."""
        for folder in (self._unfinished, self._folder):
            shutil.rmtree(folder, ignore_errors=True)


def kept(path: Path, start: int, stop: int | None) -> Iterator[pa.RecordBatch] | None:
    """The blocks of a span, in the file's order; None when no scan has kept any."""
    folder = _beside(path)
    if not folder.exists():
        return None
    found = sorted(int(file.name) for file in folder.iterdir())
    return (_batch(folder / f"{at}") for at in found if start <= at and (stop is None or at < stop))


def _batch(file: Path) -> pa.RecordBatch:
    with pa.ipc.open_stream(file.read_bytes()) as stream:
        return stream.read_next_batch()


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.parsed")


def _room(path: Path) -> int:
    return min(path.stat().st_size, shutil.disk_usage(path.parent).free // 2)
