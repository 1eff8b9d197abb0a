"""What was noticed about a file, counted, with the first features concerned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from core.contracts.findings import Severity
from core.contracts.vector_findings import Finding, FindingCode

SHOWN = 10  #: feature ids that a finding names
_SENTENCES = 5  #: distinct details that a message holds

_MESSAGES: Mapping[FindingCode, str] = {
    FindingCode.NULL_GEOMETRY: "Features without geometry, left out: {count}.",
    FindingCode.EMPTY_GEOMETRY: "Features whose geometry has no coordinates, left out: {count}.",
    FindingCode.UNREADABLE_GEOMETRY: "Features whose geometry cannot be read or repaired, left out: {count}.",
    FindingCode.DEGENERATE_LINE: "Lines without length, stored as they are: {count}.",
    FindingCode.REPAIRED_GEOMETRY: "Invalid geometries, repaired: {count}.",
    FindingCode.AREA_CHANGED: "Repaired polygons whose area is no longer what it was: {count}.",
    FindingCode.INVALID_SKIPPED: "Invalid geometries, left out as on_invalid=skip asks: {count}.",
    FindingCode.UNLIKE_GEOMETRY: "Features of another kind than their layer declares, left out: {count}.",
    FindingCode.SWAPPED_COORDINATES: "Points that lie in latitude and longitude order, it seems: {count}.",
    FindingCode.CROSSES_ANTIMERIDIAN: "Geometries with an edge across more than half the globe: {count}.",
    FindingCode.SPLIT_AT_ANTIMERIDIAN: "Geometries cut at longitude 180: {count}.",
    FindingCode.RING_ORIENTATION: "Polygons whose rings do not run as RFC 7946 wants: {count}.",
    FindingCode.REPEATED_POINTS: "Geometries with the same vertex twice in a row: {count}.",
    FindingCode.REPEATED_FEATURES: "Features like an earlier one in geometry and every attribute, stored: {count}.",
    FindingCode.DUPLICATE_FEATURES: "Features like an earlier one in geometry and every attribute, left out: {count}.",
    FindingCode.PROMOTED_TO_MULTI: "Single geometries, stored as Multi geometries: {count}.",
    FindingCode.Z_FILLED: "Geometries without height, stored with height 0 as others have heights: {count}.",
    FindingCode.Z_DROPPED: "Geometries with height in a layer declared without, stored without: {count}.",
    FindingCode.M_FILLED: "Geometries without a known measure (M), stored with measure 0: {count}.",
    FindingCode.M_DROPPED: "Geometries with measures (M), stored without: {count}.",
    FindingCode.COORDINATES_OUT_OF_RANGE: "Features beyond longitude 180 or latitude 90 degrees: {count}.",
    FindingCode.DATE_OUT_OF_RANGE: "Dates of no calendar, before year 1 or after year 9999, stored as null: {count}.",
    FindingCode.TIME_PRECISION_LOST: "Times finer than a microsecond, cut: {count}.",
    FindingCode.NUL_REMOVED: "Texts with NUL characters, stored without them: {count}.",
    FindingCode.TEXT_RECODED: "Texts that are not UTF-8, read as Windows-1252: {count}.",
    FindingCode.BAD_ROW: "Lines with the wrong number of cells, left out: {count}.",
}
_INFO = {
    FindingCode.PROMOTED_TO_MULTI,
    FindingCode.RENAMED_COLUMN,
    FindingCode.CRS_GIVEN,
    FindingCode.TRANSFORMATION_ACCURACY,
    FindingCode.FORMULA,
}


class Findings:
    """Counts by code. A message is the counted sentence of its code, if it has one, and then the distinct details."""

    def __init__(self) -> None:
        self._counts: dict[FindingCode, int] = {}
        self._ids: dict[FindingCode, list[int]] = {}
        self._values: dict[FindingCode, list[float]] = {}
        self._details: dict[FindingCode, dict[str, None]] = {}

    def add(
        self,
        code: FindingCode,
        count: int,
        ids: Iterable[int] = (),
        detail: str | None = None,
        values: Iterable[float] = (),
    ) -> None:
        """Count some more, and remember the first few feature ids and what was measured of them."""
        if not count:
            return
        self._counts[code] = self._counts.get(code, 0) + count
        known = self._ids.setdefault(code, [])
        known.extend(int(i) for i in islice(ids, SHOWN - len(known)))
        measured = self._values.setdefault(code, [])
        measured.extend(float(v) for v in islice(values, SHOWN - len(measured)))
        details = self._details.setdefault(code, {})
        if detail and len(details) < _SENTENCES:
            details[detail] = None

    def count(self, code: FindingCode) -> int:
        """How many so far."""
        return self._counts.get(code, 0)

    def listed(self) -> tuple[Finding, ...]:
        """All of them, in the order of their codes."""
        return tuple(self._finding(code) for code in FindingCode if code in self._counts)

    def _finding(self, code: FindingCode) -> Finding:
        count = self._counts[code]
        message = " ".join(part for part in (_counted(code, count), *self._details[code]) if part)
        severity = Severity.INFO if code in _INFO else Severity.WARNING
        ids, values = tuple(self._ids[code]), tuple(self._values[code])
        return Finding(code=code, severity=severity, message=message, count=count, feature_ids=ids, values=values)


def _counted(code: FindingCode, count: int) -> str:
    return _MESSAGES.get(code, "").format(count=f"{count:,}")


def merged(parts: Iterable[Finding]) -> tuple[Finding, ...]:
    """One finding a code from those of several stages and partitions, given in the order of the features."""
    whole = Findings()
    for part in parts:
        detail = part.message.removeprefix(_counted(part.code, part.count)).strip()
        whole.add(part.code, part.count, part.feature_ids, detail, part.values)
    return whole.listed()


def warned(messages: Sequence[str], findings: Findings) -> None:
    """Record what a reading library complained of, each sentence once. Measures are counted where they are dropped."""
    distinct = list(dict.fromkeys(m.strip() for m in messages if m.strip() and "Measured (M)" not in m))
    findings.add(FindingCode.READER_WARNING, len(distinct), detail=" | ".join(m[:300] for m in distinct[:5]) or None)
