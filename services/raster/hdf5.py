"""Does an HDF5 file (NetCDF 4 is one) make its reader open other files? Its library follows such references silently.

Raw data may lie in an external file, a link may lead into another HDF5 file, and a virtual dataset is made of others:
with any of these a submitted file could publish whatever the worker can read. The messages are recognised in the bytes,
by the structure that the HDF5 File Format Specification 3.0 gives them, since no reader here tells of them.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from core.contracts.raster_formats import HDF5
from core.errors import UnsupportedFormat

_CHUNK = 8 << 20
_LONGEST = 16
_OFFSET_SIZE_AT = {0: 13, 1: 13, 2: 9, 3: 9}
_BASE_AT = {0: 24, 1: 28, 2: 12, 3: 12}


def refuse_references(path: Path, label: str) -> None:
    """Raise UnsupportedFormat for a file that names others, or that cannot be told from one that does."""
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[:8] != HDF5 or not _plain(content):
            raise UnsupportedFormat(f"{label} is laid out as no usual HDF5 file is.", hint="Write it anew (h5repack).")
        found = next((what for what in map(partial(_reference, content), _places(content)) if what), None)
    if found:
        raise UnsupportedFormat(
            f"{label} reads other files: it has {found}.", hint="Submit one file that holds all data."
        )


def _places(content: mmap.mmap) -> Iterator[int]:
    """Where one of the messages may begin."""
    for start in range(0, len(content), _CHUNK):
        part = np.frombuffer(content[start : start + _CHUNK + _LONGEST], dtype=np.uint8)
        a = [part[i : len(part) - _LONGEST + i] for i in range(_LONGEST)]
        last_two_zero = (a[14] == 0) & (a[15] == 0)
        external = (a[0] == 1) & (a[1] == 0) & (a[2] == 0) & (a[3] == 0) & ((a[6] | a[7]) != 0) & last_two_zero
        virtual = (a[0] == 4) & (a[1] == 3) & (a[8] == 0) & (a[9] == 0)
        link = (a[0] == 1) & (a[2] == 0x40) & ((a[1] & 0xE8) == 8)
        yield from (start + int(i) for i in np.flatnonzero(external | virtual | link))


def _reference(content: mmap.mmap, at: int) -> str | None:
    """What the message here refers to, if it is one (File Format Specification IV.A.2.g, h and i)."""
    if content[at] == 4:  # data layout 4 of class virtual: the address of a global heap
        return "virtual datasets" if _is_heap(content, content[at + 2 : at + 10], b"GCOL") else None
    if content[at + 2] == 0x40:  # link 1 of type external: what follows depends on its flags
        return "external links" if _is_link(content, at + 3, content[at + 1]) else None
    # external file list 1: slots there are and slots used, the address of a local heap
    return "external data" if _is_heap(content, content[at + 8 : at + 16], b"HEAP") else None


def _plain(content: mmap.mmap) -> bool:
    """Addresses of eight bytes, counted from the file's start."""
    version = content[8]
    if version not in _BASE_AT or len(content) < 64:
        return False
    base = _BASE_AT[version]
    return content[_OFFSET_SIZE_AT[version]] == 8 and content[base : base + 8] == bytes(8)


def _is_heap(content: mmap.mmap, address: bytes, signature: bytes) -> bool:
    start = int.from_bytes(address, "little")
    return start > 0 and content[start : start + 4] == signature


def _is_link(content: mmap.mmap, at: int, flags: int) -> bool:
    """True when an external link's value follows: a version, two names, each with a NUL at its end."""
    at += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    at += width + int.from_bytes(content[at : at + width], "little")
    size = int.from_bytes(content[at : at + 2], "little")
    value = content[at + 2 : at + 2 + size]
    names = value[1:].split(b"\x00")
    return len(value) == size >= 5 and value[0] == 0 and len(names) == 3 and all(names[:2]) and not names[2]
