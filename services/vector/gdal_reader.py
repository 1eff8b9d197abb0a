"""Layers that GDAL reads: GeoPackage, shapefile, GeoJSON, FlatGeobuf, KML, GML, GPX, file geodatabase, MapInfo, DXF."""

from __future__ import annotations

import os
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyogrio
from pyogrio.errors import DataSourceError

from core.contracts.vector import Partition, SourcePlan
from core.contracts.vector_formats import VectorFormat
from core.errors import AmbiguousLayer, NoFeatures, UnreadableSource
from services.vector import dbf_dates, gdal_times, geojson_checks, wkb
from services.vector.findings import Findings, warned
from services.vector.geopackage_ids import feature_ids
from services.vector.readers import GEOMETRY, Survey, batch_rows, ranges, whole
from services.vector.reference_systems import StatedCrs

_DRIVERS: Mapping[VectorFormat, tuple[str, ...]] = {
    VectorFormat.GEOJSON: ("GeoJSON", "TopoJSON", "GeoJSONSeq", "ESRIJSON"),
    VectorFormat.GEOJSONSEQ: ("GeoJSONSeq", "GeoJSON"),
    VectorFormat.GPKG: ("GPKG",),
    VectorFormat.SHAPEFILE: ("ESRI Shapefile",),
    VectorFormat.FLATGEOBUF: ("FlatGeobuf",),
    VectorFormat.KML: ("LIBKML", "KML"),
    VectorFormat.KMZ: ("LIBKML",),
    VectorFormat.GML: ("GML",),
    VectorFormat.GPX: ("GPX",),
    VectorFormat.FILEGDB: ("OpenFileGDB",),
    VectorFormat.MAPINFO: ("MapInfo File",),
    VectorFormat.DXF: ("DXF",),
}
#: Drivers that derive a layer's type from every feature, or cannot store another.
_SURE = ("GeoJSON", "GeoJSONSeq", "TopoJSON", "FlatGeobuf", "ESRI Shapefile")
#: Drivers that find a feature by its position. FlatGeobuf counts those before it, 5 million a second.
_SEEKING = ("GPKG", "ESRI Shapefile", "OpenFileGDB", "FlatGeobuf")
#: What programs call a GeoPackage's key when they number its rows; under another name it is the data's own.
_NUMBERS = ("fid", "ogc_fid", "ogr_fid", "objectid")
_JSON_DRIVERS = ("GeoJSON", "GeoJSONSeq")
#: GPX derives these from the layers of the same name without the ending.
_DERIVED = ("route_points", "track_points")

# A schema that a file names is never fetched. What GDAL writes to stderr reaches nobody; errors are raised anyway.
pyogrio.set_gdal_config_options(
    {"GML_DOWNLOAD_SCHEMA": False, "LIBKML_RESOLVE_STYLE": False, "GDAL_HTTP_MAX_RETRY": 0, "CPL_LOG": os.devnull}
)


@dataclass(frozen=True)
class _Selection:
    """Features of a layer: those that fulfil a condition, without the first few."""

    where: str | None = None
    skip: int = 0


class GdalReader:
    """One layer of one file."""

    def __init__(self, path: Path, plan: SourcePlan, shown: str) -> None:
        self._path, self._layer, self._shown, self._plan = path, plan.layer, shown, plan
        self._notes: list[str] = []
        with reading(path, shown, self._notes):
            info = pyogrio.read_info(path, layer=self._layer, force_feature_count=True)
            keyed = info["driver"] == "GPKG" and info["fid_column"]
            self._with_ids = plan.numbered or (keyed and info["fid_column"].lower() not in _NUMBERS)
            with self._opened(None, 1, _Selection()) as stream:
                schema = _attributes(_renamed(stream.schema, self._names(stream.schema)))
        self._attributes = pa.schema([field.with_type(gdal_times.type_of(field, plan)) for field in schema])
        _require_driver(info["driver"], plan.format, shown)
        self._info = info
        self._ids = feature_ids(path, info["layer_name"], info["fid_column"]) if keyed else None

    @property
    def attributes(self) -> pa.Schema:
        """The attribute columns, in the file's order."""
        return self._attributes

    @property
    def stated_crs(self) -> StatedCrs:
        """What the file says; GeoJSON means EPSG:4326 when it says nothing."""
        crs = self._info["crs"]
        implied = self._info["driver"] in _JSON_DRIVERS and crs in ("EPSG:4326", "EPSG:4979", "OGC:CRS84")
        return StatedCrs(crs, implied)

    @property
    def sure_type(self) -> str | None:
        """The declared type, where the driver guarantees it."""
        declared = self._info["geometry_type"]
        return declared if self._info["driver"] in _SURE and declared != "Unknown" else None

    @property
    def driver(self) -> str:
        """GDAL's name of the format."""
        return str(self._info["driver"])

    @property
    def survey(self) -> Survey | None:
        """None was made."""
        return None

    @property
    def feature_count(self) -> int:
        """How many features, those without geometry included."""
        return int(self._info["features"])

    def geometries(self, findings: Findings) -> Iterator[pa.Array]:
        """The geometries alone."""
        for batch in self._stream([], findings):
            yield batch.column(batch.num_columns - 1)

    def partitions(self, wanted: int) -> tuple[Partition, ...]:
        """Ranges of ids or of positions, where the driver can find them."""
        if self._ids is not None:
            with reading(self._path, self._shown, []):
                return self._ids.partitions(self.feature_count, wanted)
        if self.driver not in _SEEKING:
            return whole(self.feature_count)
        return ranges(self.feature_count, wanted)

    def batches(self, findings: Findings, part: Partition | None = None) -> Iterator[pa.RecordBatch]:
        """Attributes and WKB."""
        yield from self._stream(None, findings, part)

    def _stream(
        self, columns: Sequence[str] | None, findings: Findings, part: Partition | None = None
    ) -> Iterator[pa.RecordBatch]:
        notes = list(self._notes)
        if columns is None and self.driver in _JSON_DRIVERS:
            by_line, odd_date = self.driver == "GeoJSONSeq", self._plan.odd_date
            geojson_checks.report(self._path, by_line=by_line, odd_date=odd_date, findings=findings)
        tabled = columns is None and self.driver == "ESRI Shapefile"
        odd_dates = dbf_dates.impossible(self._path) if tabled else {}
        rows = batch_rows(_size(self._path), self.feature_count)
        selection, most = self._selection(part)
        taken = 0
        try:
            with reading(self._path, self._shown, notes), self._opened(columns, rows, selection) as stream:
                for batch in stream:
                    if most is not None:
                        batch = batch.slice(0, most - taken)
                    if batch.num_rows == 0:
                        break
                    arrays = [batch.column(i) for i in range(batch.num_columns)]
                    arrays[-1] = self._linear(wkb.bytes_of(arrays[-1]), selection, taken)
                    arrays = dbf_dates.without(arrays, odd_dates, selection.skip + taken, findings)
                    taken += batch.num_rows
                    if columns is None and self._plan.times_as_text:
                        types = [*self._attributes.types, pa.binary()]
                        arrays = [a.cast(t) if t in gdal_times.TYPES else a for a, t in zip(arrays, types, strict=True)]
                    yield pa.RecordBatch.from_arrays(arrays, names=[*self._names(batch.schema)[:-1], GEOMETRY])
        finally:
            warned(notes, findings)

    def _selection(self, part: Partition | None) -> tuple[_Selection, int | None]:
        """With which feature the driver begins, and after how many we stop; None for the end."""
        if part is None:
            return _Selection(), None
        if self._ids is not None:
            return _Selection(where=self._ids.condition(part)), None
        return _Selection(skip=part.start), None if part.stop == self.feature_count else part.features

    def _names(self, schema: pa.Schema) -> list[str]:
        """The columns' names: numbers that GeoJSON's features have as ids come first, under the name of the member."""
        if not self._plan.numbered:
            return list(schema.names)
        return ["feature_id" if "id" in schema.names[1:] else "id", *schema.names[1:]]

    def _linear(self, geometry: pa.Array, selection: _Selection, taken: int) -> pa.Array:
        # Arrow streams carry arcs as they are; the classic reader turns them into chords. Rare, so read twice.
        if not wkb.has_curves(geometry):
            return geometry
        _, _, chords, _ = pyogrio.raw.read(
            self._path,
            layer=self._layer,
            columns=[],
            where=selection.where,
            skip_features=selection.skip + taken,
            max_features=len(geometry),
        )
        return pa.array(chords, pa.binary())

    @contextmanager
    def _opened(
        self, columns: Sequence[str] | None, rows: int, selection: _Selection
    ) -> Iterator[pa.RecordBatchReader]:
        options = {"layer": self._layer, "columns": columns, "batch_size": rows}
        chosen = {"where": selection.where, "skip_features": selection.skip}
        chosen |= {"return_fids": self._with_ids, **(geojson_checks.AS_TEXT if self._plan.odd_date else {})}
        chosen |= {"datetime_as_string": self._plan.times_as_text}
        with pyogrio.open_arrow(self._path, use_pyarrow=True, **options, **chosen) as (_, stream):
            yield stream


def layers_of(path: Path, shown: str) -> list[str]:
    """The layers that can hold geometry."""
    with reading(path, shown, []):
        return [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]


def filled(path: Path, layers: Sequence[str], shown: str) -> dict[str, int]:
    """How many features each of those layers has that have any and are not derived from others."""
    counts = {layer: _count(path, layer, shown) for layer in layers if layer not in _DERIVED}
    return {layer: count for layer, count in counts.items() if count}


def choose_layer(path: Path, wanted: str | None, shown: str) -> str:
    """The layer to read: the wanted one, or the only one that has features with geometry.

    Raises AmbiguousLayer listing the candidates, NoFeatures when there is none.
    """
    layers = layers_of(path, shown)
    if wanted is not None:
        if wanted not in layers:
            raise AmbiguousLayer(
                f"{shown} has no layer {wanted!r}; it has {_listed(layers)}.", hint="Correct layer_name."
            )
        return wanted
    if len(layers) > 1:
        counts = filled(path, layers, shown)
        layers = list(counts)
        if len(layers) > 1:
            described = ", ".join(f"{layer} ({count:,} features)" for layer, count in list(counts.items())[:60])
            raise AmbiguousLayer(
                f"{shown} has {len(layers)} layers: {described}.",
                hint="Set layer_name to one of them, or all_layers to have a table for each.",
            )
    if not layers:
        raise NoFeatures(f"{shown} has no layer with features that have a geometry.", hint="Check the file.")
    return layers[0]


def _count(path: Path, layer: str, shown: str) -> int:
    with reading(path, f"{shown} (layer {layer!r})", []):
        return int(pyogrio.read_info(path, layer=layer, force_feature_count=True)["features"])


def _renamed(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    return pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])


def _attributes(schema: pa.Schema) -> pa.Schema:
    last = schema.field(len(schema) - 1)
    carried = (last.metadata or {}).get(b"ARROW:extension:name", b"")
    if not carried.startswith(b"geoarrow") and not isinstance(last.type, pa.BaseExtensionType):
        return schema.remove_metadata()
    return pa.schema([schema.field(i) for i in range(len(schema) - 1)])


def _require_driver(found: str, declared: VectorFormat, shown: str) -> None:
    if found not in _DRIVERS[declared]:
        raise UnreadableSource(
            f"{shown} is a {found} file, not {declared.value}.", hint="Give the file the extension of its format."
        )


@contextmanager
def reading(path: Path, shown: str, notes: list[str]) -> Iterator[None]:
    """Collect GDAL's warnings into `notes` and translate its errors into UnreadableSource."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                yield
            finally:
                notes.extend(str(w.message) for w in caught if issubclass(w.category, RuntimeWarning | UserWarning))
    except (DataSourceError, RuntimeError, ValueError, OSError, sqlite3.Error, pa.ArrowException) as e:
        reason = str(e).split("; It might help")[0].replace(str(path), path.name).strip().rstrip(".")
        raise UnreadableSource(f"{shown} cannot be read: {reason}.", hint="Open it in another program to check.") from e


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return sum(p.stat().st_size for p in path.parent.glob(f"{path.stem}.*")) or path.stat().st_size


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(n) for n in names[:60]) or "none"
