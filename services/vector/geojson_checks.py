"""What GDAL changes or leaves out of GeoJSON without a word: looked for in files that only GDAL reads."""

from __future__ import annotations

import calendar
import json
import mmap
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyogrio

from core.contracts.vector import SourcePlan
from core.contracts.vector_findings import FindingCode
from services.vector.findings import Findings

AS_TEXT = {"DATE_AS_STRING": "YES"}  #: GDAL's option to leave dates as they are written
_DAY = re.compile(r"^\s*(\d{4})[-/](\d\d)[-/](\d\d)(?!\d)")
_TIME = re.compile(r"\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s*(?P<zone>Z|[+-]\d\d(:?\d\d)?)?\s*$")
_LONG_NUMBER = re.compile(rb"[:\[,]\s*(-?\d{19,})\s*[,}\]]")
_OFF, _MIXED = "{name} has '{text}', which is no day of the calendar", "{name} has times with and without a zone"
_LARGEST, _DIGITS = 2**63, 20
_KINDS = {
    *("Feature", "FeatureCollection", "Point", "LineString", "Polygon"),
    *("MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection"),
}


def planned(path: Path, plan: SourcePlan) -> SourcePlan:
    """The plan, saying whether features have numbers of their own and dates that no calendar has."""
    options = {"layer": plan.layer, "read_geometry": False, "return_fids": True, **AS_TEXT}
    dates = _date_columns(path, plan)
    numbered, first = False, 0
    odd: str | None = None
    zoned: dict[str, set[bool]] = {name: set() for name in dates}
    with pyogrio.open_arrow(path, columns=dates, use_pyarrow=True, **options) as (_, stream):
        for batch in stream:
            positions = pa.array(range(first, first + batch.num_rows), pa.int64())
            numbered = numbered or not batch.column(0).equals(positions)
            first += batch.num_rows
            for name in dates:
                texts = pc.unique(batch.column(name).cast(pa.string())).to_pylist()
                zoned[name] |= {found["zone"] is not None for text in texts if (found := _TIME.search(text or ""))}
                odd = odd or next((_OFF.format(name=name, text=text) for text in texts if _impossible(text)), None)
    odd = odd or next((_MIXED.format(name=name) for name, kinds in zoned.items() if len(kinds) > 1), None)
    return plan.model_copy(update={"numbered": numbered, "odd_date": odd})


def report(path: Path, *, by_line: bool, odd_date: str | None, findings: Findings) -> None:
    """What the reader changed, kept as text or left out."""
    if odd_date is not None:
        findings.add(FindingCode.READER_WARNING, 1, detail=f"Dates are stored as text: {odd_date}.")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(rb"\u0000") >= 0:
            findings.add(FindingCode.NUL_REMOVED, 1, detail="Texts are cut at their first NUL character.")
        large = [n for n in _LONG_NUMBER.findall(content) if len(n) > _DIGITS or not -_LARGEST <= int(n) < _LARGEST]
    if large:
        detail = f"Whole numbers beyond 64 bits are stored as floating point, first {large[0][:40].decode()}."
        findings.add(FindingCode.READER_WARNING, len(large), detail=detail)
    for number, reason in _unread(path) if by_line else ():
        detail = f"Line {number} is left out: {reason}."
        findings.add(FindingCode.BAD_ROW, 1, detail=detail if findings.count(FindingCode.BAD_ROW) < 3 else None)


def _date_columns(path: Path, plan: SourcePlan) -> list[str]:
    with pyogrio.open_arrow(path, layer=plan.layer, use_pyarrow=True, batch_size=1) as (_, stream):
        return [f.name for f in stream.schema if pa.types.is_date(f.type) or pa.types.is_timestamp(f.type)]


def _impossible(text: str | None) -> bool:
    found = _DAY.match(text or "")
    if found is None:
        return False
    year, month, day = map(int, found.groups())
    # Years out of range are another finding; 2000 has the same leap day as 0.
    return not 1 <= month <= 12 or not 1 <= day <= calendar.monthrange(year or 2000, month)[1]


def _unread(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a GeoJSON sequence that are no feature, and why."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            text = line.decode("utf-8-sig", errors="replace").strip("\x1e\r\n\t ")
            if not text:
                continue
            try:
                value = json.loads(text)
            except (ValueError, RecursionError) as e:
                yield number, str(e)
                continue
            if not isinstance(value, dict) or value.get("type") not in _KINDS:
                yield number, "it is no feature"
