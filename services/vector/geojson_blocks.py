"""Large GeoJSON files cut into blocks of whole features, so that a fast parser can take one after another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

_BLOCK = 2 << 20  #: more of it would not stay in the processor's cache while it is parsed
_BOM = b"\xef\xbb\xbf"
_START = re.compile(rb'\{\s*"type"\s*:\s*"Feature"\s*[,}]')
_WINDOW = 1 << 16


class NotPlain(Exception):
    """The file is not written plainly enough; the general reader understands more."""


@dataclass(frozen=True)
class Block:
    """Whole features as a JSON array, and where they lie in the file, in bytes."""

    start: int
    stop: int
    text: bytes


def blocks(path: Path, *, by_line: bool, start: int = 0, stop: int | None = None) -> Iterator[Block]:
    """All features of the file, or those of a span that begins and ends between features. Raises NotPlain."""
    cut = _by_line if by_line else _collection
    with path.open("rb") as file:
        file.seek(start)
        size = (path.stat().st_size if stop is None else stop) - start
        source = _Source(file.read, size)
        for first, last, text in cut(source, whole=start == 0 and stop is None):
            yield Block(start + first, start + last, text)


class _Source:
    """Reads so many bytes and no more."""

    def __init__(self, read: object, size: int) -> None:
        self._read, self._left = read, size

    def next(self) -> bytes:
        """Some more; empty at the end."""
        piece: bytes = self._read(min(_BLOCK, self._left))  # type: ignore[operator]
        self._left -= len(piece)
        return piece


def _by_line(source: _Source, *, whole: bool) -> Iterator[tuple[int, int, bytes]]:
    at, held = 0, b""
    while piece := source.next():
        head, line_end, held_next = (held + piece).rpartition(b"\n")
        if line_end:
            yield at, at + len(head) + 1, _array(head)
            at += len(head) + 1
        held = held_next
    if held.strip():
        yield at, at + len(held), _array(held)


def _array(lines: bytes) -> bytes:
    features = (line.strip(b"\x1e\r\t ") for line in lines.removeprefix(_BOM).split(b"\n"))
    return b"[" + b",".join(line for line in features if line) + b"]"


def _collection(source: _Source, *, whole: bool) -> Iterator[tuple[int, int, bytes]]:
    held, at = source.next(), 0
    if whole:
        first = _START.search(held)
        if first is None:
            raise NotPlain("no feature begins with its type near the start")
        head, at = held[: first.start()].removeprefix(_BOM), first.start()
        held = held[at:]
    while piece := source.next():
        held += piece
        cut = _last_start(held)
        if cut:
            yield at, at + cut, _listed(held[:cut])
            at, held = at + cut, held[cut:]
    if whole:
        end = _end_of_last(held)
        _require_plain_frame(head, held[end:])
        held = held[:end]
    if held.strip():
        yield at, at + len(held), _listed(held)


def _listed(features: bytes) -> bytes:
    return b"[" + features.rstrip().rstrip(b",") + b"]"


def _last_start(held: bytes) -> int:
    """Where the last feature begins that is not the first; 0 when there is none."""
    window = _WINDOW
    while True:
        found = [m.start() for m in _START.finditer(held, max(1, len(held) - window))]
        if found or window >= len(held):
            return found[-1] if found else 0
        window *= 8


def _end_of_last(held: bytes) -> int:
    start = _last_start(held)
    try:
        text = held[start:].decode()
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError) as e:
        raise NotPlain("the last feature does not end") from e
    return start + len(text[:end].encode())


def _require_plain_frame(head: bytes, tail: bytes) -> None:
    """The frame without its features must be an empty collection in the CRS that GeoJSON prescribes."""
    try:
        frame: JsonValue = json.loads(head + tail)
    except ValueError as e:
        raise NotPlain("the features are not in one collection") from e
    if not isinstance(frame, dict) or frame.get("type") != "FeatureCollection" or frame.get("features") != []:
        raise NotPlain("it is not a feature collection")
    crs = frame.get("crs")
    if crs is not None and "CRS84" not in json.dumps(crs):
        raise NotPlain("it states a CRS")
