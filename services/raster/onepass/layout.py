"""Where do directories and tiles stand in a COG? The layout that GDAL's COG driver makes and its readers rely on.

Header, ghost area, directories from the full resolution to the smallest overview, then tiles from the smallest
overview to the full resolution, each between its size and a repetition of its last four bytes (documentation of GDAL's
COG driver).
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from services.raster.onepass import tiff

_STRUCTURE = (
    b"LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
_GHOST = b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(_STRUCTURE) + _STRUCTURE
_LEADER, _TRAILER = 4, 4
#: What an overview's directory has of the full resolution's: how samples are stored, not what they stand for.
_OF_OVERVIEWS = frozenset((258, 259, 262, 277, 284, 317, 320, 322, 323, 338, 339, 530, 532, 42113))
#: Above this many bytes of tiles, offsets take eight bytes each; the rest of the four gigabytes is for directories.
_CLASSIC = 4_000_000_000
_PIECE = 8 << 20


@dataclass(frozen=True)
class StoredLevel:
    """One resolution's compressed tiles, row by row, in a file of their own."""

    width: int
    height: int
    path: Path
    places: Sequence[int]  #: where in `path` each tile's bytes begin
    sizes: Sequence[int]
    framed: bool  #: each tile already stands between its size and its last four bytes, without gaps
    own: tiff.Directory  #: fields only this level has, such as its JPEG tables

    @property
    def span(self) -> int:
        """How many bytes its tiles take, framed."""
        return sum(self.sizes) + (_LEADER + _TRAILER) * len(self.sizes)


def assemble(output: Path, template: tiff.Directory, levels: Sequence[StoredLevel]) -> None:
    """Write the COG: `template` has the fields of the full resolution, `levels` go from it to the smallest."""
    big = sum(level.span for level in levels) > _CLASSIC
    first = len(tiff.header(0, big)) + len(_GHOST)
    sizes = [
        len(tiff.directory_bytes(_directory(template, level, i, 0, big), 0, 0, big)) for i, level in enumerate(levels)
    ]
    starts = [first + sum(sizes[:i]) for i in range(len(levels))]
    data, at = [0] * len(levels), first + sum(sizes)
    for i in reversed(range(len(levels))):
        data[i] = at
        at += levels[i].span
    with output.open("wb") as file:
        file.write(tiff.header(first, big) + _GHOST)
        for i, level in enumerate(levels):
            following = starts[i + 1] if i + 1 < len(levels) else 0
            directory = _directory(template, level, i, data[i], big)
            file.write(tiff.directory_bytes(directory, starts[i], following, big))
        for level in reversed(levels):
            _append(file, level)


def _directory(template: tiff.Directory, level: StoredLevel, number: int, start: int, big: bool) -> tiff.Directory:
    kept = template if number == 0 else {tag: field for tag, field in template.items() if tag in _OF_OVERVIEWS}
    offsets, at = [], start + _LEADER
    for size in level.sizes:
        offsets.append(at)
        at += size + _TRAILER + _LEADER
    own = {
        tiff.WIDTH: tiff.Field.of(tiff.LONG, level.width),
        tiff.HEIGHT: tiff.Field.of(tiff.LONG, level.height),
        tiff.TILE_OFFSETS: tiff.Field.of(tiff.LONG8 if big else tiff.LONG, *offsets),
        tiff.TILE_SIZES: tiff.Field.of(tiff.LONG, *level.sizes),
        **level.own,
    }
    if number:
        own[tiff.SUBFILE_TYPE] = tiff.Field.of(tiff.LONG, 1)
    return {**kept, **own}


def _append(file: BinaryIO, level: StoredLevel) -> None:
    with level.path.open("rb") as source:
        if level.framed:
            shutil.copyfileobj(source, file, _PIECE)
            return
        for block in _framed(source, level):
            file.write(block)


def _framed(source: BinaryIO, level: StoredLevel) -> Iterator[bytes]:
    for place, size in zip(level.places, level.sizes, strict=True):
        source.seek(place)
        yield frame(source.read(size))


def frame(tile: bytes | bytearray) -> bytes:
    """A tile as it stands in the file."""
    return struct.pack("<I", len(tile)) + tile + tile[-_TRAILER:]
