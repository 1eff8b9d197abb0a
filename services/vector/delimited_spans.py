"""Text tables cut where a row ends, also when cells hold line breaks between quotation marks."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_BLOCK = 4 << 20
_QUOTE, _LINE_END = 0x22, 0x0A


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
    inside, at, wanted = False, 0, every
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            if at + len(block) > wanted:
                raw = np.frombuffer(block, np.uint8)
                quoted = (np.cumsum(raw == _QUOTE) + inside) % 2 == 1
                ends = np.flatnonzero((raw == _LINE_END) & ~quoted) + at + 1
                found = ends[ends > wanted]
                if len(found):
                    yield int(found[0])
                    wanted = int(found[0]) + every
            inside = (block.count(b'"') + inside) % 2 == 1
            at += len(block)
