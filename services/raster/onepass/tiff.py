"""The parts of TIFF 6.0 and BigTIFF that laying out a COG takes: directories in, directories out."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

SUBFILE_TYPE = 254
WIDTH, HEIGHT = 256, 257
TILE_OFFSETS, TILE_SIZES = 324, 325
JPEG_TABLES = 347
METADATA = 42112

#: Field types and their sizes in bytes.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_LETTERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
ASCII, LONG, LONG8 = 2, 4, 16


@dataclass(frozen=True)
class Field:
    """One tag's value: its type, how many, and their bytes, little-endian."""

    kind: int
    count: int
    data: bytes

    @classmethod
    def of(cls, kind: int, *values: int) -> Field:
        """A field of whole numbers."""
        return cls(kind, len(values), struct.pack(f"<{len(values)}{_LETTERS[kind]}", *values))

    def numbers(self) -> tuple[int, ...]:
        """The values of a field of whole numbers."""
        return struct.unpack(f"<{self.count}{_LETTERS[self.kind]}", self.data)


Directory = Mapping[int, Field]


def first_directory(path: Path) -> Directory:
    """The first image's fields of a little-endian file, as GDAL writes them here."""
    with path.open("rb") as file:
        head = file.read(16)
        big = head[:4] == b"II+\0"
        if not big and head[:4] != b"II*\0":
            raise ValueError(f"{path.name} is not a little-endian TIFF")
        (at,) = struct.unpack_from("<Q", head, 8) if big else struct.unpack_from("<I", head, 4)
        file.seek(at)
        (entries,) = struct.unpack("<Q", file.read(8)) if big else struct.unpack("<H", file.read(2))
        size = 20 if big else 12
        table = file.read(entries * size)
        return dict(_field(file, table[i * size : (i + 1) * size], big) for i in range(entries))


def _field(file: BinaryIO, entry: bytes, big: bool) -> tuple[int, Field]:
    tag, kind = struct.unpack_from("<HH", entry)
    (count,) = struct.unpack_from("<Q" if big else "<I", entry, 4)
    value = entry[12:] if big else entry[8:]
    length = count * _SIZES[kind]
    if length > len(value):
        file.seek(struct.unpack("<Q" if big else "<I", value)[0])
        return tag, Field(kind, count, file.read(length))
    return tag, Field(kind, count, value[:length])


def directory_bytes(directory: Directory, at: int, following: int, big: bool) -> bytes:
    """A directory to stand at byte `at`, its long values after it; `following` is where the next stands, 0 for none.

    Its length does not depend on `at` or `following`, so a first call with zeros tells how much room it takes.
    """
    inline, entry, fixed = (8, 20, 16) if big else (4, 12, 6)
    table, values = b"", b""
    start = at + fixed + entry * len(directory)
    for tag, field in sorted(directory.items()):
        if len(field.data) <= inline:
            held = field.data.ljust(inline, b"\0")
        else:
            held = struct.pack("<Q" if big else "<I", start + len(values))
            values += field.data + b"\0" * (-len(field.data) % 8)
        table += struct.pack("<HHQ" if big else "<HHI", tag, field.kind, field.count) + held
    count = struct.pack("<Q" if big else "<H", len(directory))
    return count + table + struct.pack("<Q" if big else "<I", following) + values


def header(first: int, big: bool) -> bytes:
    """The file's first bytes; `first` is where its first directory stands."""
    return struct.pack("<2sHHHQ", b"II", 43, 8, 0, first) if big else struct.pack("<2sHI", b"II", 42, first)
