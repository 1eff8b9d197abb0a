"""Which reader opens the file? Found out once by prepare, repeated by the stages after it."""

from __future__ import annotations

from pathlib import Path

from core.contracts.vector import EXTENSIONS, ProcessVectorParameters, SourcePlan, VectorFormat
from core.errors import UnsupportedFormat
from services.vector import archives, coordinates, delimited_reader, fetching, gdal_reader, parquet_reader
from services.vector.readers import FeatureReader

_UNDECIDED = ""


def explore(fetched: Path, parameters: ProcessVectorParameters) -> tuple[SourcePlan, FeatureReader]:
    """Choose member, layer and columns. The plan's CRS is still to be decided."""
    shown = str(parameters.source)
    path, declared, layer = fetched, parameters.file_extension, parameters.layer_name
    member = None
    if fetched.is_dir():
        path, chosen = archives.data_file(fetched, shown, layer)
        member = path.relative_to(fetched).as_posix()
        layer = None if chosen else layer
        declared = _format_of(path, shown)
        if path.is_file():
            fetching.require_content(path, declared, f"{shown}/{member}")
        shown = f"{shown}/{member}"
    if declared is VectorFormat.SHAPEFILE:
        fetching.require_shapefile(path, shown)
    plan = SourcePlan(format=declared, member=member, driver=_UNDECIDED, crs=_UNDECIDED)
    wanted = coordinates.CoordinateColumns(parameters.lat_name, parameters.lon_name, parameters.wkt_column)
    match declared:
        case VectorFormat.CSV:
            return _delimited(path, plan, wanted, shown)
        case VectorFormat.PARQUET:
            return _parquet(path, plan, wanted, shown)
        case _:
            layer = gdal_reader.choose_layer(path, layer, declared, shown)
            plan = plan.model_copy(update={"layer": layer})
            reader = gdal_reader.GdalReader(path, plan, shown)
            return plan.model_copy(update={"driver": reader.driver}), reader


def reopen(fetched: Path, plan: SourcePlan, shown: str) -> FeatureReader:
    """The reader that `plan` describes."""
    path = fetched if plan.member is None else fetched / plan.member
    shown = shown if plan.member is None else f"{shown}/{plan.member}"
    match plan.format:
        case VectorFormat.CSV:
            assert plan.delimited is not None  # _delimited below always sets it
            where = coordinates.CoordinateColumns(plan.lat_name, plan.lon_name, plan.wkt_column)
            return delimited_reader.DelimitedReader(path, plan.delimited, where, shown)
        case VectorFormat.PARQUET:
            return parquet_reader.reopened(path, plan, shown)
        case _:
            return gdal_reader.GdalReader(path, plan, shown)


def _delimited(
    path: Path, plan: SourcePlan, wanted: coordinates.CoordinateColumns, shown: str
) -> tuple[SourcePlan, FeatureReader]:
    dialect = delimited_reader.dialect_of(path, shown)
    names = delimited_reader.header(path, dialect, shown)
    where = coordinates.find(names, wanted.lat, wanted.lon, wanted.wkt, shown)
    columns = {"lat_name": where.lat, "lon_name": where.lon, "wkt_column": where.wkt}
    plan = plan.model_copy(update={**columns, "delimited": dialect, "driver": "CSV"})
    return plan, delimited_reader.DelimitedReader(path, dialect, where, shown)


def _parquet(
    path: Path, plan: SourcePlan, wanted: coordinates.CoordinateColumns, shown: str
) -> tuple[SourcePlan, FeatureReader]:
    layout = parquet_reader.layout_of(path, wanted, shown)
    where = layout.where or coordinates.CoordinateColumns()
    columns = {"lat_name": where.lat, "lon_name": where.lon, "wkt_column": where.wkt}
    plan = plan.model_copy(update={**columns, "geometry_column": layout.geometry_column, "driver": "Parquet"})
    return plan, parquet_reader.ParquetReader(path, layout, shown)


def _format_of(path: Path, shown: str) -> VectorFormat:
    found = EXTENSIONS.get(path.suffix.lower().lstrip("."))
    if found is None:
        raise UnsupportedFormat(f"{shown} holds {path.name}, which no reader takes.")
    return found
