"""Which layers are read, and by which reader? Found out once by prepare, repeated by the stages after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.contracts.vector import ProcessVectorParameters, SourcePlan
from core.contracts.vector_findings import FindingCode
from core.contracts.vector_formats import EXTENSIONS, VectorFormat
from core.errors import AmbiguousLayer, ColumnsMissing, InvalidRequest, NoFeatures, UnsupportedFormat
from services.vector import (
    archives,
    coordinates,
    delimited_reader,
    fetching,
    gdal_reader,
    gdal_times,
    geojson_checks,
    geojson_reader,
    parquet_reader,
)
from services.vector import workbook_reader as workbooks
from services.vector.findings import Findings
from services.vector.geojson_blocks import NotPlain
from services.vector.geojson_spool import Spool
from services.vector.readers import FeatureReader

_UNDECIDED = ""
_GEOJSON = (VectorFormat.GEOJSON, VectorFormat.GEOJSONSEQ)


@dataclass(frozen=True)
class OpenedLayer:
    """A layer to load. `name` is what tells it from the file's others; the plan's CRS is still to be decided."""

    name: str
    plan: SourcePlan
    reader: FeatureReader


def explore(
    fetched: Path, parameters: ProcessVectorParameters, findings: Findings, *, keep: bool = False
) -> list[OpenedLayer]:
    """The one layer that the request means, or all that hold features if it wants all.

    With `keep`, what is parsed on the way stays beside the file, for a load by the same task.
    Raises AmbiguousLayer, NoFeatures, ColumnsMissing, InvalidRequest, UnsupportedFormat, UnreadableSource.
    """
    layers: list[OpenedLayer] = []
    left_out: list[str] = []
    for path, layer in _files(fetched, parameters):
        found = _File(path, fetched, parameters, keep=keep)
        layers += found.layers(left_out) if parameters.all_layers else [found.layer(layer)]
    findings.add(FindingCode.LAYER_LEFT_OUT, len(left_out), detail=f"No table was made of {', '.join(left_out[:30])}.")
    if not layers:
        raise NoFeatures(
            f"{parameters.source} has no layer with features that have a geometry.", hint="Check the file."
        )
    _require_located(layers, parameters)
    return layers


def _require_located(layers: Sequence[OpenedLayer], parameters: ProcessVectorParameters) -> None:
    """Raise InvalidRequest when columns are said to hold coordinates that nobody looks for in them."""
    asked = "wkt_column" if parameters.wkt_column else "lat_name and lon_name" if parameters.lat_name else None
    if asked and not any(layer.plan.lat_name or layer.plan.wkt_column for layer in layers):
        raise InvalidRequest(
            f"{asked} was given, but {parameters.source} has geometries of its own.", hint=f"Leave {asked} out."
        )


def reopen(fetched: Path, plan: SourcePlan) -> FeatureReader:
    """The reader that `plan` describes."""
    path, shown = fetched if plan.member is None else fetched / plan.member, plan.shown
    where = coordinates.CoordinateColumns(plan.lat_name, plan.lon_name, plan.wkt_column)
    if plan.plain:
        by_line = plan.format is VectorFormat.GEOJSONSEQ
        return geojson_reader.reopened(path, by_line=by_line, types=dict(plan.types))
    match plan.format:
        case VectorFormat.CSV:
            assert plan.delimited is not None  # _File._delimited always sets it
            return delimited_reader.DelimitedReader(path, plan.delimited, where, shown, dict(plan.types))
        case VectorFormat.PARQUET:
            return parquet_reader.reopened(path, plan, shown)
        case VectorFormat.XLSX:
            assert plan.layer is not None  # _File._sheet always sets it
            return workbooks.WorkbookReader(path, plan.layer, where, shown)
        case _:
            return gdal_reader.GdalReader(path, plan, shown)


def _files(fetched: Path, parameters: ProcessVectorParameters) -> Iterator[tuple[Path, str | None]]:
    """The data files, each with the layer that is wanted of it."""
    shown, layer = str(parameters.source), parameters.layer_name
    if not fetched.is_dir():
        yield fetched, layer
    elif parameters.all_layers:
        for path in archives.data_files(fetched, shown):
            yield path, None
    else:
        path, chosen = archives.data_file(fetched, shown, layer)
        yield path, None if chosen else layer


class _File:
    """A data file, alone or in an unpacked archive."""

    def __init__(self, path: Path, fetched: Path, parameters: ProcessVectorParameters, *, keep: bool) -> None:
        self._path, self._keep, self._shown, member = path, keep, str(parameters.source), None
        declared = parameters.file_extension
        if fetched.is_dir():
            member = path.relative_to(fetched).as_posix()
            declared = _format_of(path, self._shown)
            self._shown = f"{self._shown}/{member}"
            if path.is_file():
                fetching.require_content(path, declared, self._shown)
        if declared is VectorFormat.SHAPEFILE:
            fetching.require_shapefile(path, self._shown)
        self._plan = SourcePlan(shown=self._shown, format=declared, member=member, driver=_UNDECIDED, crs=_UNDECIDED)
        self._wanted = coordinates.CoordinateColumns(parameters.lat_name, parameters.lon_name, parameters.wkt_column)

    def layer(self, wanted: str | None) -> OpenedLayer:
        """The wanted layer, or the only one."""
        if wanted is None and (plain := self._plain()) is not None:
            return plain
        match self._plan.format:
            case VectorFormat.CSV:
                self._require_only(wanted)
                return self._delimited()
            case VectorFormat.PARQUET:
                self._require_only(wanted)
                return self._parquet()
            case VectorFormat.XLSX:
                return self._sheet(self._chosen_sheet(wanted), self._of(wanted))
            case _:
                return self._gdal(gdal_reader.choose_layer(self._path, wanted, self._shown), self._of(wanted))

    def layers(self, left_out: list[str]) -> Iterator[OpenedLayer]:
        """Every layer with features and geometry; the others' names go into `left_out`."""
        match self._plan.format:
            case VectorFormat.CSV | VectorFormat.PARQUET:
                try:
                    yield self.layer(None)
                except (ColumnsMissing, NoFeatures):
                    left_out.append(self._path.name)
            case VectorFormat.XLSX:
                present = workbooks.sheets(self._path, self._shown)
                filled = workbooks.with_coordinates(self._path, self._wanted, self._shown)
                left_out += [sheet for sheet in present if sheet not in filled]
                yield from (self._sheet(sheet, self._of(sheet)) for sheet in filled)
            case _ if (plain := self._plain()) is not None:
                yield plain
            case _:
                present = gdal_reader.layers_of(self._path, self._shown)
                counts = gdal_reader.filled(self._path, present, self._shown)
                left_out += [layer for layer in present if layer not in counts]
                yield from (self._gdal(layer, self._of(layer)) for layer in counts)

    def _plain(self) -> OpenedLayer | None:
        """GeoJSON that the fast reader understands."""
        if self._plan.format not in _GEOJSON:
            return None
        by_line = self._plan.format is VectorFormat.GEOJSONSEQ
        spool = Spool(self._path) if self._keep else None
        try:
            reader = geojson_reader.scanned(self._path, by_line=by_line, spool=spool)
        except NotPlain:
            if spool is not None:
                spool.drop()
            return None
        driver = "GeoJSONSeq" if by_line else "GeoJSON"
        plan = self._plan.model_copy(update={"plain": True, "driver": driver, "types": tuple(reader.types.items())})
        return OpenedLayer(self._path.stem, plan, reader)

    def _of(self, layer: str | None) -> str:
        """What messages call a layer; None is the only one."""
        return self._shown if layer is None else f"{self._shown} (layer {layer!r})"

    def _gdal(self, layer: str, shown: str) -> OpenedLayer:
        plan = self._plan.model_copy(update={"layer": layer, "shown": shown})
        if plan.format in _GEOJSON:
            with gdal_reader.reading(self._path, shown, []):
                plan = geojson_checks.planned(self._path, plan)
        reader = gdal_reader.GdalReader(self._path, plan, shown)
        with gdal_reader.reading(self._path, shown, []):
            timed = gdal_times.planned(self._path, plan, reader.attributes)
        if timed != plan:
            plan, reader = timed, gdal_reader.GdalReader(self._path, timed, shown)
        return OpenedLayer(layer, plan.model_copy(update={"driver": reader.driver}), reader)

    def _require_only(self, wanted: str | None) -> None:
        if wanted not in (None, self._path.stem, self._path.name):
            raise AmbiguousLayer(
                f"{self._shown} has no layer {wanted!r}; it has one, {self._path.stem!r}.",
                hint="Leave layer_name out.",
            )

    def _chosen_sheet(self, wanted: str | None) -> str:
        present = workbooks.sheets(self._path, self._shown)
        if wanted is not None:
            if wanted not in present:
                raise AmbiguousLayer(
                    f"{self._shown} has no sheet {wanted!r}; it has {', '.join(present[:60])}.",
                    hint="Correct layer_name.",
                )
            return wanted
        if len(present) == 1:
            return present[0]
        found = workbooks.with_coordinates(self._path, self._wanted, self._shown)
        if len(found) != 1:
            raise AmbiguousLayer(
                f"{self._shown} has {len(present)} sheets, {len(found)} of them with coordinates: "
                f"{', '.join((found or present)[:60])}.",
                hint="Set layer_name to one of them, and lat_name and lon_name, or wkt_column, if need be.",
            )
        return found[0]

    def _sheet(self, sheet: str, shown: str) -> OpenedLayer:
        where = workbooks.coordinate_columns(self._path, sheet, self._wanted, self._shown)
        plan = self._located(where, layer=sheet, driver="XLSX", shown=shown)
        return OpenedLayer(sheet, plan, workbooks.WorkbookReader(self._path, sheet, where, shown))

    def _delimited(self) -> OpenedLayer:
        dialect = delimited_reader.dialect_of(self._path, self._shown)
        names = delimited_reader.header(self._path, dialect, self._shown)
        where = coordinates.find(names, self._wanted.lat, self._wanted.lon, self._wanted.wkt, self._shown)
        reader = delimited_reader.DelimitedReader(self._path, dialect, where, self._shown)
        plan = self._located(where, delimited=reader.dialect, driver="CSV", types=tuple(reader.types.items()))
        return OpenedLayer(self._path.stem, plan, reader)

    def _parquet(self) -> OpenedLayer:
        layout = parquet_reader.layout_of(self._path, self._wanted, self._shown)
        where = layout.where or coordinates.CoordinateColumns()
        plan = self._located(where, geometry_column=layout.geometry_column, driver="Parquet")
        return OpenedLayer(self._path.stem, plan, parquet_reader.ParquetReader(self._path, layout, self._shown))

    def _located(self, where: coordinates.CoordinateColumns, **update: object) -> SourcePlan:
        columns = {"lat_name": where.lat, "lon_name": where.lon, "wkt_column": where.wkt}
        return self._plan.model_copy(update={**columns, **update})


def _format_of(path: Path, shown: str) -> VectorFormat:
    found = EXTENSIONS.get(path.suffix.lower().lstrip("."))
    if found is None:
        raise UnsupportedFormat(f"{shown} holds {path.name}, which no reader takes.")
    return found
