"""How much of a body is taken? Counted after decompression, and never decompressed further than that."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from core.contracts.outbound import Limits
from core.errors import RemoteAnswerRefused

#: Asked for, and understood.
ENCODINGS = "gzip, deflate"
_GZIP_OR_ZLIB = 47  #: zlib finds out which of the two it is


def take(chunks: Iterator[bytes], encoding: str, limits: Limits) -> bytes:
    """The body. Raises RemoteAnswerRefused where it is too large, or compressed in an unknown way."""
    return b"".join(_bounded(chunks, encoding, limits))


def save(chunks: Iterator[bytes], encoding: str, limits: Limits, target: Path) -> None:
    """The body, written to a file in place of what it held. Raises as `take` does."""
    with target.open("wb") as file:
        for piece in _bounded(chunks, encoding, limits):
            file.write(piece)


def _bounded(chunks: Iterator[bytes], encoding: str, limits: Limits) -> Iterator[bytes]:
    left = limits.size
    for piece in _plain(chunks, encoding, limits.size + 1):
        if len(piece) > left:
            if limits.cut:
                yield piece[:left]
                return
            raise RemoteAnswerRefused(f"The answer is larger than {limits.size} bytes.")
        left -= len(piece)
        yield piece


def _plain(chunks: Iterator[bytes], encoding: str, most: int) -> Iterator[bytes]:
    if encoding in ("", "identity"):
        yield from chunks
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise RemoteAnswerRefused(f"The answer is compressed as {encoding[:50]!r}, which was not asked for.")
    unpacking, begun = zlib.decompressobj(_GZIP_OR_ZLIB), False
    try:
        for chunk in chunks:
            begun = True
            # What exceeds the limit stays packed: the reader stops at the first piece beyond it.
            yield unpacking.decompress(chunk, most)
    except zlib.error as e:
        raise RemoteAnswerRefused(f"The answer cannot be decompressed: {e}.") from e
    if begun and not unpacking.eof:
        raise RemoteAnswerRefused("The answer cannot be decompressed: it ends too early.")
