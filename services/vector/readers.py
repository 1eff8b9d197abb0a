"""What every reader of vector files offers, whatever the format."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Protocol

import pyarrow as pa

from core.contracts.vector import Partition
from services.vector.findings import Findings
from services.vector.reference_systems import StatedCrs

GEOMETRY = "\x00geometry"  #: the name of the WKB column of a batch; no file can have an attribute of that name


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


def whole(features: int) -> tuple[Partition, ...]:
    """The one partition of a layer that is read from front to back."""
    return (Partition(first_id=1, features=features, start=0, stop=features),)


def batch_rows(size_bytes: int, features: int) -> int:
    """How many features make about 8 MB."""
    return max(16, min(65_536, (8 << 20) * max(features, 1) // max(size_bytes, 1)))


def ranges(features: int, wanted: int) -> tuple[Partition, ...]:
    """At most `wanted` ranges of positions, from 0, of about one length."""
    count = max(1, min(wanted, features))
    edges = [features * i // count for i in range(count + 1)]
    return tuple(
        Partition(first_id=start + 1, features=stop - start, start=start, stop=stop) for start, stop in pairwise(edges)
    )
