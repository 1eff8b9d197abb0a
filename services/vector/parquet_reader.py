"""Parquet: GeoParquet with WKB geometry, or tables with coordinate or WKT columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from core.contracts.vector import Partition, SourcePlan
from core.errors import UnreadableSource, UnsupportedFormat
from services.vector import coordinates, parquet_statistics, wkb
from services.vector.findings import Findings
from services.vector.readers import GEOMETRY, Survey, batch_rows, runs
from services.vector.reference_systems import StatedCrs

_BUFFER = 1 << 20
_GEOMETRY_NAMES = ("geometry", "geom", "wkb_geometry", "wkb", "the_geom")


class _GeoColumn(BaseModel):
    model_config = ConfigDict(extra="ignore")

    encoding: str = "WKB"
    #: GeoParquet: absent means OGC:CRS84, null means unknown.
    crs: dict[str, JsonValue] | None = {"absent": True}


class _GeoMetadata(BaseModel):
    model_config = ConfigDict(extra="ignore")

    primary_column: str
    columns: dict[str, _GeoColumn]


@dataclass(frozen=True)
class ParquetLayout:
    """Where a Parquet file keeps its geometry, and in which CRS."""

    geometry_column: str | None
    where: coordinates.CoordinateColumns | None
    crs: StatedCrs


class ParquetReader:
    """A Parquet file as features."""

    def __init__(self, path: Path, layout: ParquetLayout, shown: str) -> None:
        self._path, self._layout, self._shown = path, layout, shown
        with _reading(shown), pq.ParquetFile(path) as file:
            self._schema: pa.Schema = file.schema_arrow.remove_metadata()
            self._rows = int(file.metadata.num_rows)
            groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
            self._group_rows = [int(group.num_rows) for group in groups]
            self._bytes = sum(int(group.total_byte_size) for group in groups)
            column = layout.geometry_column
            self._survey = None if column is None else parquet_statistics.surveyed(file.metadata, column)

    @property
    def attributes(self) -> pa.Schema:
        """Every column but the geometry."""
        return pa.schema([f for f in self._schema if f.name not in self._geometry_columns])

    @property
    def stated_crs(self) -> StatedCrs:
        """What the `geo` metadata says."""
        return self._layout.crs

    @property
    def sure_type(self) -> str | None:
        """Coordinates make points; the metadata's geometry types are only a claim."""
        return "Point" if self._layout.where is not None and self._layout.where.wkt is None else None

    @property
    def survey(self) -> Survey | None:
        """What the statistics prove."""
        return self._survey

    @property
    def feature_count(self) -> int:
        """Rows."""
        return self._rows

    def geometries(self, _: Findings) -> Iterator[pa.Array]:
        """The geometries alone."""
        where = self._layout.where
        names = [self._layout.geometry_column] if where is None else [where.lat, where.lon, where.wkt]
        for batch in self._read([n for n in names if n is not None]):
            yield self._geometry(batch)

    def partitions(self, wanted: int) -> tuple[Partition, ...]:
        """Runs of row groups."""
        starts = [0, *accumulate(self._group_rows)]
        return runs(list(enumerate(starts[:-1])), (len(self._group_rows), starts[-1]), wanted)

    def batches(self, _: Findings, part: Partition | None = None) -> Iterator[pa.RecordBatch]:
        """Attributes and WKB."""
        names = self.attributes.names
        for batch in self._read(None, part):
            columns = [batch.column(n) for n in names]
            yield pa.RecordBatch.from_arrays([*columns, self._geometry(batch)], names=[*names, GEOMETRY])

    @property
    def _geometry_columns(self) -> tuple[str | None, ...]:
        where = self._layout.where
        return (self._layout.geometry_column, None if where is None else where.wkt)

    def _geometry(self, batch: pa.RecordBatch) -> pa.Array:
        if self._layout.where is not None:
            return coordinates.geometry(batch, self._layout.where)
        return wkb.bytes_of(batch.column(self._layout.geometry_column))

    def _read(self, columns: Sequence[str] | None, part: Partition | None = None) -> Iterator[pa.RecordBatch]:
        rows = batch_rows(self._bytes, self._rows)
        start, stop = (0, len(self._group_rows)) if part is None else (part.start, part.stop)
        # One group at a time, and of a large one a little at a time: a reader of several keeps what it has decoded.
        with _reading(self._shown), pq.ParquetFile(self._path, buffer_size=_BUFFER) as file:
            for group in range(start, stop):
                yield from file.iter_batches(batch_size=rows, row_groups=[group], columns=columns, use_threads=False)


def layout_of(path: Path, wanted: coordinates.CoordinateColumns, shown: str) -> ParquetLayout:
    """Read the `geo` metadata, else look for columns that may hold geometry."""
    with _reading(shown), pq.ParquetFile(path) as file:
        schema: pa.Schema = file.schema_arrow
    text = (schema.metadata or {}).get(b"geo")
    if text is not None:
        return _geoparquet(text, shown)
    if wanted.lat is None and wanted.wkt is None:
        for name in schema.names:
            if name.lower() in _GEOMETRY_NAMES and _is_binary(schema.field(name).type):
                return ParquetLayout(name, None, StatedCrs(None))
    where = coordinates.find(schema.names, wanted.lat, wanted.lon, wanted.wkt, shown)
    return ParquetLayout(None, where, StatedCrs(None))


def _geoparquet(text: bytes, shown: str) -> ParquetLayout:
    try:
        metadata = _GeoMetadata.model_validate_json(text)
        column = metadata.columns[metadata.primary_column]
    except (ValidationError, KeyError) as e:
        raise UnreadableSource(f"{shown} has geo metadata that does not follow GeoParquet: {e}.") from e
    if column.encoding != "WKB":
        raise UnsupportedFormat(
            f"{shown} encodes geometry as {column.encoding}; only WKB is read.", hint="Write it with encoding WKB."
        )
    if column.crs is not None and "absent" in column.crs:
        return ParquetLayout(metadata.primary_column, None, StatedCrs("OGC:CRS84", implied=True))
    crs = None if column.crs is None else json.dumps(column.crs)
    return ParquetLayout(metadata.primary_column, None, StatedCrs(crs))


def reopened(path: Path, plan: SourcePlan, shown: str) -> ParquetReader:
    """The reader that the plan describes."""
    if plan.geometry_column is not None:
        return ParquetReader(path, ParquetLayout(plan.geometry_column, None, StatedCrs(plan.crs)), shown)
    where = coordinates.CoordinateColumns(plan.lat_name, plan.lon_name, plan.wkt_column)
    return ParquetReader(path, ParquetLayout(None, where, StatedCrs(plan.crs)), shown)


def _is_binary(arrow: pa.DataType) -> bool:
    return bool(pa.types.is_binary(arrow) or pa.types.is_large_binary(arrow) or pa.types.is_binary_view(arrow))


@contextmanager
def _reading(shown: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as e:
        raise UnreadableSource(f"{shown} cannot be read as Parquet: {e}.", hint="Write the file again.") from e
