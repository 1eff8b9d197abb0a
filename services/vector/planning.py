"""What table does a file become? Decided from all of its features, before any is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyproj
import shapely

from core.contracts.vector import ColumnPlan, FindingCode, ProcessVectorParameters, SourcePlan, TablePlan
from core.errors import InvalidRequest, NoFeatures
from services.vector import columns, reference_systems, wkb
from services.vector.findings import Findings
from services.vector.readers import FeatureReader
from services.vector.reference_systems import Bounds

_FAMILIES = {
    frozenset({"Point"}): "Point",
    frozenset({"Point", "MultiPoint"}): "MultiPoint",
    frozenset({"MultiPoint"}): "MultiPoint",
    frozenset({"LineString"}): "MultiLineString",
    frozenset({"LineString", "MultiLineString"}): "MultiLineString",
    frozenset({"MultiLineString"}): "MultiLineString",
    frozenset({"Polygon"}): "MultiPolygon",
    frozenset({"Polygon", "MultiPolygon"}): "MultiPolygon",
    frozenset({"MultiPolygon"}): "MultiPolygon",
    frozenset({"GeometryCollection"}): "GeometryCollection",
}


@dataclass
class Survey:
    """What a pass over all geometries found."""

    counts: dict[str, int] = field(default_factory=dict)
    has_z: bool = False
    bounds: Bounds | None = None


def planned(
    source: SourcePlan, reader: FeatureReader, parameters: ProcessVectorParameters, findings: Findings
) -> tuple[SourcePlan, TablePlan]:
    """The plan of source and table. Raises CrsMissing, CrsMismatch, NoFeatures, ColumnsMissing."""
    shown = str(parameters.source)
    if reader.feature_count == 0:
        raise NoFeatures(f"{shown} has no feature.", hint="Check the file.")
    table_columns = columns.planned_columns(reader.attributes, parameters.column_mapping, shown)
    _require_named_columns(parameters, table_columns, shown)
    _report_renamed(table_columns, parameters, findings)
    stated = reader.stated_crs
    located = stated.text is not None or parameters.input_crs is not None
    family, has_z, bounds = _geometry(reader, shown, measure=not located, findings=findings)
    crs = reference_systems.source_crs(stated, parameters.input_crs, bounds, shown, findings)
    reference_systems.transformation(crs, parameters.target_crs)
    return source.model_copy(update={"crs": crs}), TablePlan(
        schema_name=parameters.schema_name,
        name=parameters.table_name,
        geometry_type=family + ("Z" if has_z else ""),
        srid=_srid(parameters.target_crs),
        columns=table_columns,
    )


def survey(reader: FeatureReader, *, measure: bool) -> Survey:
    """Count geometry types over all features; with `measure`, their bounds too. Damaged geometries count nowhere."""
    found = Survey()
    for geometry in reader.geometries(Findings()):
        codes, has_z = wkb.type_codes(geometry)
        found.has_z = found.has_z or bool(has_z.any())
        for code, count in zip(*np.unique(codes, return_counts=True), strict=True):
            name = wkb.NAMES.get(int(code), "Unknown")
            found.counts[name] = found.counts.get(name, 0) + int(count)
        if measure:
            found.bounds = _widened(found.bounds, geometry.to_numpy(zero_copy_only=False))
    return found


def _geometry(
    reader: FeatureReader, shown: str, *, measure: bool, findings: Findings
) -> tuple[str, bool, Bounds | None]:
    if reader.sure_type is not None and not measure:
        base, _, z = reader.sure_type.partition(" ")
        family = _FAMILIES.get(frozenset({base}))
        if family is not None:
            return family, z == "Z", None
    found = survey(reader, measure=measure)
    if not found.counts:
        raise NoFeatures(f"None of the {reader.feature_count:,} features of {shown} has a geometry.")
    # A shapefile's layer of polygons holds multipolygons as well: the rows a type's family stands for are alike.
    family = _FAMILIES.get(frozenset(found.counts), "Geometry")
    if family == "Geometry":
        kinds = ", ".join(f"{count:,} {name}" for name, count in sorted(found.counts.items()))
        findings.add(
            FindingCode.MIXED_GEOMETRY_TYPES,
            sum(found.counts.values()),
            message=f"The layer mixes {kinds}; they are kept as they are in one table of any geometry.",
        )
    return family, found.has_z, found.bounds


def _widened(bounds: Bounds | None, raw: np.ndarray) -> Bounds | None:
    with np.errstate(invalid="ignore"):
        found = shapely.total_bounds(shapely.from_wkb(raw, on_invalid="ignore"))
    if np.isnan(found).any():
        return bounds
    minx, miny, maxx, maxy = (float(v) for v in found)
    if bounds is None:
        return (minx, miny, maxx, maxy)
    return (min(bounds[0], minx), min(bounds[1], miny), max(bounds[2], maxx), max(bounds[3], maxy))


def _require_named_columns(
    parameters: ProcessVectorParameters, planned_columns: tuple[ColumnPlan, ...], shown: str
) -> None:
    """Fail now, not after the load, when the request names a column that is not there."""
    columns.resolve(parameters.indexes.attributes, planned_columns, shown, "indexes.attributes")
    columns.resolve(parameters.indexes.temporal, planned_columns, shown, "indexes.temporal")
    if parameters.temporal_property is not None:
        (name,) = columns.resolve([parameters.temporal_property], planned_columns, shown, "temporal_property")
        found = next(c.sql_type for c in planned_columns if c.name == name)
        if found not in ("date", "timestamp", "timestamptz"):
            raise InvalidRequest(
                f"temporal_property {parameters.temporal_property!r} is a {found.value} column, not a date or time.",
                hint="Name a column of dates or times.",
            )


def _report_renamed(
    planned_columns: tuple[ColumnPlan, ...], parameters: ProcessVectorParameters, findings: Findings
) -> None:
    renamed = [
        c
        for c in planned_columns
        if c.name != c.source_name.lower() and parameters.column_mapping.get(c.source_name) != c.name
    ]
    shown = ", ".join(f"{c.source_name!r} is {c.name}" for c in renamed[:20])
    findings.add(FindingCode.RENAMED_COLUMN, len(renamed), message=f"Columns were renamed: {shown}.")


def _srid(target_crs: str) -> int:
    try:
        pyproj.CRS.from_user_input(target_crs)
    except pyproj.exceptions.CRSError as e:
        raise InvalidRequest(f"target_crs {target_crs} is not known.", hint="Use EPSG:4326.") from e
    return int(target_crs.split(":")[1])
