"""What every reader of vector files offers, whatever the format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import numpy as np
import pyarrow as pa
import shapely

from core.contracts.vector import Partition
from services.vector import families, wkb
from services.vector.coordinates import CoordinateColumns
from services.vector.families import Kind
from services.vector.findings import Findings
from services.vector.reference_systems import Bounds, StatedCrs

GEOMETRY = "\x00geometry"  #: the name of the WKB column of a batch; no file can have an attribute of that name


@dataclass
class Survey:
    """What a pass over all geometries found. Counts are by WKB base type."""

    counts: dict[int, int] = field(default_factory=dict)
    with_z: set[Kind] = field(default_factory=set)
    with_m: set[Kind] = field(default_factory=set)
    bounds: Bounds | None = None

    @property
    def kinds(self) -> list[Kind]:
        """The kinds that occur, in the order of their tables."""
        return sorted({k for code in self.counts if (k := families.kind_of(code)) is not None})


def surveyed(geometry: pa.Array, found: Survey, *, measure: bool) -> None:
    """Count another batch; with `measure`, widen the bounds."""
    codes, has_z, has_m = wkb.type_codes(geometry)
    for code, count in zip(*np.unique(codes, return_counts=True), strict=True):
        found.counts[int(code)] = found.counts.get(int(code), 0) + int(count)
    for flags, kinds in ((has_z, found.with_z), (has_m, found.with_m)):
        if flags.any():
            kinds.update(k for c in np.unique(codes[flags]) if (k := families.kind_of(int(c))) is not None)
    if measure:
        found.bounds = _widened(found.bounds, _boxes(geometry))


def surveyed_points(x: np.ndarray, y: np.ndarray, found: Survey) -> None:
    """Count another batch of 2-D points, those without coordinates excepted, and widen the bounds."""
    if count := int((np.isfinite(x) & np.isfinite(y)).sum()):
        found.counts[1] = found.counts.get(1, 0) + count
        found.bounds = _widened(found.bounds, _box(x, y))


def _widened(bounds: Bounds | None, found: np.ndarray) -> Bounds | None:
    # A coordinate that is no number is one feature's fault: it says nothing about where the others lie.
    found = found[np.isfinite(found).all(axis=1)]
    if not len(found):
        return bounds
    (minx, miny), (maxx, maxy) = found[:, :2].min(axis=0).tolist(), found[:, 2:].max(axis=0).tolist()
    if bounds is None:
        return (minx, miny, maxx, maxy)
    return (min(bounds[0], minx), min(bounds[1], miny), max(bounds[2], maxx), max(bounds[3], maxy))


def _boxes(geometry: pa.Array) -> np.ndarray:
    points = wkb.points(geometry.drop_null())
    if points is not None:
        return _box(*points)
    with np.errstate(invalid="ignore"):
        raw = geometry.to_numpy(zero_copy_only=False)
        boxes: np.ndarray = shapely.bounds(shapely.from_wkb(raw, on_invalid="ignore"))
    return boxes


def _box(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The one box around all points that have coordinates, if any."""
    there = np.isfinite(x) & np.isfinite(y)
    if not there.all():
        x, y = x[there], y[there]
    return np.array([[x.min(), y.min(), x.max(), y.max()]]) if len(x) else np.empty((0, 4))


class FeatureReader(Protocol):
    """An opened layer. Every method reads the file anew, so a reader may be used several times."""

    @property
    def attributes(self) -> pa.Schema:
        """The attribute columns, in the file's order."""
        ...

    @property
    def stated_crs(self) -> StatedCrs:
        """What the file says its CRS is."""
        ...

    @property
    def sure_type(self) -> str | None:
        """The geometry type when the format guarantees it for every feature, such as `Polygon Z`; else None."""
        ...

    @property
    def survey(self) -> Survey | None:
        """What a pass over the geometries found where one was made already; it may not have measured bounds."""
        ...

    @property
    def feature_count(self) -> int:
        """How many features, those without geometry included."""
        ...

    def geometries(self, findings: Findings) -> Iterator[pa.Array]:
        """The geometries alone, as WKB, batch by batch."""
        ...

    def partitions(self, wanted: int) -> tuple[Partition, ...]:
        """The layer in at most `wanted` parts of about one size; in one where the format knows no way in."""
        ...

    def batches(self, findings: Findings, part: Partition | None = None) -> Iterator[pa.RecordBatch]:
        """Attributes and, last, the geometry as WKB under the name GEOMETRY; of the whole layer, or of one part.

        Memory does not grow with the file.
        """
        ...


class TableReader:
    """What is the same of every format that is a table with coordinates among its columns."""

    def __init__(self, where: CoordinateColumns) -> None:
        self._where = where

    @property
    def stated_crs(self) -> StatedCrs:
        """Tables state none."""
        return StatedCrs(None)

    @property
    def sure_type(self) -> str | None:
        """Coordinates make points."""
        return "Point" if self._where.wkt is None else None

    @property
    def survey(self) -> Survey | None:
        """None was made."""
        return None


def whole(features: int) -> tuple[Partition, ...]:
    """The one partition of a layer that is read from front to back."""
    return (Partition(first_id=1, features=features, start=0, stop=features),)


def batch_rows(size_bytes: int, features: int) -> int:
    """How many features make about 2 MB: what waits between reading, cleaning and writing is a few times that."""
    return max(16, min(65_536, (2 << 20) * max(features, 1) // max(size_bytes, 1)))


def runs(starts: Sequence[tuple[int, int]], end: tuple[int, int], wanted: int) -> tuple[Partition, ...]:
    """At most `wanted` runs of pieces. A start is the reader's own unit and the position of the first feature there."""
    count = max(1, min(wanted, len(starts)))
    edges = [*(starts[len(starts) * i // count] for i in range(count)), end]
    return tuple(
        Partition(first_id=first + 1, features=last - first, start=start, stop=stop)
        for (start, first), (stop, last) in pairwise(edges)
    )


def ranges(features: int, wanted: int) -> tuple[Partition, ...]:
    """At most `wanted` ranges of positions, from 0, of about one length."""
    count = max(1, min(wanted, features))
    return runs([(features * i // count,) * 2 for i in range(count)], (features, features), count)
