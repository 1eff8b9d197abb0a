"""What should the owner of a raster know about it?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from core.contracts.findings import Severity
from core.contracts.raster import BandStatistics, Finding, TypeDetection
from core.contracts.raster_findings import FindingCode as Code
from services.raster.statistics import BandScan

_SENTINELS = (-9999.0, -99999.0, -32768.0, -32767.0, -3.4028234663852886e38, -1.7976931348623157e308, 1e20)
_SENTINEL_SHARE = 0.005
_UNSURE = 0.55
_INTEGERS = ("uint8", "int16", "uint16", "int32", "uint32")


def pixel_findings(scans: Sequence[BandScan], statistics: Sequence[BandStatistics | None]) -> Iterator[Finding]:
    """Findings about values: none valid, only one, undeclared nodata, more bits than needed."""
    known = [s for s in statistics if s is not None]
    if not known:
        yield _warning(
            Code.ALL_NODATA, "No pixel is valid: every one is nodata.", "Check the export; nothing will be seen."
        )
        return
    if all(s.distinct == 1 for s in known):
        yield _warning(Code.SINGLE_VALUE, "Every valid pixel has the same value in its band.", "Check the export.")
    yield from _nodata_findings(scans, statistics)
    yield from _depth_findings(scans[0], known)


def _nodata_findings(scans: Sequence[BandScan], statistics: Sequence[BandStatistics | None]) -> Iterator[Finding]:
    for band, (scan, stats) in enumerate(zip(scans, statistics, strict=True), start=1):
        if scan.nodata is not None and scan.dtype.kind in "ui" and not scan.holds(scan.nodata):
            yield _warning(
                Code.NODATA_OUT_OF_RANGE,
                f"Band {band} declares nodata {scan.nodata:g}, which {scan.dtype.name} cannot hold.",
                "Declare a nodata value that occurs.",
            )
        if stats is None or scan.nodata is not None:
            continue
        for value in (stats.minimum, stats.maximum):
            share = scan.frequency(value) if value in _SENTINELS else 0.0
            if share > _SENTINEL_SHARE:
                yield _warning(
                    Code.UNDECLARED_NODATA,
                    f"{share:.0%} of band {band} is {value:g}, which is not declared as nodata.",
                    f"Set the file's nodata value to {value:g}.",
                )


def _depth_findings(scan: BandScan, known: Sequence[BandStatistics]) -> Iterator[Finding]:
    low, high = min(s.minimum for s in known), max(s.maximum for s in known)
    name, whole = scan.dtype.name, scan.dtype.kind in "ui"
    smallest = smallest_integer(low, high)
    if scan.integral and not whole and smallest is not None:
        yield _warning(Code.INTEGERS_IN_FLOAT, f"Whole numbers are stored as {name}.", f"Store them as {smallest}.")
    elif name == "float64":
        yield _warning(Code.DOUBLE_PRECISION, "Values are stored in 64 bits.", "float32 holds seven digits.")
    elif whole and smallest is not None and scan.dtype.itemsize > np.dtype(smallest).itemsize:
        severity = Severity.WARNING if scan.dtype.itemsize == 8 else Severity.INFO
        message = f"Values from {low:g} to {high:g} are stored as {name}."
        yield Finding(code=Code.WIDE_INTEGER, severity=severity, message=message, fix=f"Store them as {smallest}.")


def type_findings(detection: TypeDetection, declared: bool) -> Iterator[Finding]:
    """A guess that should be confirmed."""
    if not declared and detection.confidence < _UNSURE:
        yield Finding(
            code=Code.TYPE_UNCERTAIN,
            severity=Severity.INFO,
            message=f"Taken for {detection.detected.value}: {', '.join(detection.evidence)}.",
            fix="Declare raster_type.",
        )


def smallest_integer(low: float, high: float) -> str | None:
    """The narrowest integer type that holds the range; None when none does."""
    for name in _INTEGERS:
        info = np.iinfo(name)
        if info.min <= low and high <= info.max:
            return name
    return None


def _warning(code: Code, message: str, fix: str) -> Finding:
    return Finding(code=code, severity=Severity.WARNING, message=message, fix=fix)
