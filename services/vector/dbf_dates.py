"""Dates in a shapefile's table that are none: of 30 February GDAL makes 1 March, of month 13 a day of 1970."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.contracts.vector_findings import FindingCode
from services.vector.findings import Findings

_HEADER, _FIELD = 32, 32
_DELETED = ord("*")
_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])

Impossible = Mapping[int, np.ndarray]  #: of each field, by its place, the features that hold no date, from 0


def impossible(shapefile: Path) -> Impossible:
    """Where such dates are."""
    path = shapefile.with_suffix(".dbf")
    with path.open("rb") as file:
        head = file.read(_HEADER)
        start, width = (int.from_bytes(head[at : at + 2], "little") for at in (8, 10))
        dates = _date_fields(file.read(max(0, start - _HEADER)))
    count = (path.stat().st_size - start) // width if width else 0
    if not dates or count < 1:
        return {}
    rows = np.memmap(path, np.uint8, "r", start, (count, width))
    present = rows[:, 0] != _DELETED
    found = {field: np.flatnonzero(_are_none(rows[present, at : at + 8])) for field, at in dates.items()}
    return {field: features for field, features in found.items() if len(features)}


def without(arrays: list[pa.Array], odd: Impossible, first: int, findings: Findings) -> list[pa.Array]:
    """The columns of a batch with nulls in the place of such dates, counted; `first` is the batch's first feature."""
    for field, features in odd.items():
        here = features[(features >= first) & (features < first + len(arrays[field]))]
        if len(here):
            mask = np.zeros(len(arrays[field]), bool)
            mask[here - first] = True
            arrays[field] = pc.if_else(pa.array(mask), pa.scalar(None, arrays[field].type), arrays[field])
            findings.add(FindingCode.DATE_OUT_OF_RANGE, len(here), here + 1)
    return arrays


def _date_fields(described: bytes) -> dict[int, int]:
    """Of each field of dates its place and its first byte in a row, which begins with a mark of deletion."""
    found: dict[int, int] = {}
    at = 1
    for i in range(0, len(described) - _FIELD + 1, _FIELD):
        field = described[i : i + _FIELD]
        if field[0] == 0x0D:
            break
        if field[11:12] == b"D" and field[16] == 8:
            found[i // _FIELD] = at
        at += field[16]
    return found


def _are_none(cells: np.ndarray) -> np.ndarray:
    """Of rows of eight digits those with a month or day that is none. Blank and zero dates are meant to be empty."""
    digits = cells.astype(np.int64) - ord("0")
    written = ((digits >= 0) & (digits <= 9)).all(axis=1) & digits.any(axis=1)
    year = digits[:, :4] @ np.array([1000, 100, 10, 1])
    month, day = digits[:, 4] * 10 + digits[:, 5], digits[:, 6] * 10 + digits[:, 7]
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    # Month 0 has no day, months beyond 12 none either.
    last = _DAYS[np.where((month < 1) | (month > 12), 0, month)] - ((month == 2) & ~leap)
    found: np.ndarray = written & ((day < 1) | (day > last))
    return found
