"""Text tables cut where a row ends, also when cells hold line breaks between quotation marks."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

_BLOCK = 4 << 20


class Span(io.RawIOBase):
    """A file from one byte up to another."""

    def __init__(self, path: Path, start: int, stop: int) -> None:
        self._file = path.open("rb")
        self._file.seek(start)
        self._left = stop - start

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: object) -> int:
        """As of any raw stream."""
        view = memoryview(buffer)[: self._left]  # type: ignore[arg-type]  # any writable buffer
        count = self._file.readinto(view)
        self._left -= count
        return count

    def close(self) -> None:
        """Close the file too."""
        self._file.close()
        super().close()


def cuts(path: Path, every: int) -> Iterator[int]:
    """Offsets behind a row, some `every` bytes apart; a line break inside quotation marks ends no row."""
    quotes, at, wanted = 0, 0, every
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            counted, end = 0, max(0, wanted - at) - 1
            while (end := block.find(b"\n", end + 1)) >= 0:
                quotes += block.count(b'"', counted, end)
                counted = end
                if quotes % 2 == 0:
                    yield at + end + 1
                    wanted = at + end + 1 + every
                    end = wanted - at - 1
            quotes += block.count(b'"', counted)
            at += len(block)
