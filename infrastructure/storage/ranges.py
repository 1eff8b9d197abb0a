"""How a blob is cut into pieces of bounded size."""

from __future__ import annotations

from collections.abc import Iterator

#: Most bytes of a blob in one piece.
PIECE = 8 * 1024 * 1024


def pieces(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Consecutive half-open ranges of at most PIECE bytes that cover `start` to `end`."""
    for offset in range(start, end, PIECE):
        yield offset, min(offset + PIECE, end)


def clip(start: int, end: int | None, size: int) -> tuple[int, int]:
    """The part of the asked range that a blob of `size` bytes has; empty when it starts past the end."""
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"bytes {start} to {end} are not a range")
    return min(start, size), size if end is None else min(end, size)
