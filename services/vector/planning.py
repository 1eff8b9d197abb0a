"""What tables does a layer become? Decided from all of its features, before any is loaded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyproj
import shapely

from core.contracts.tables import SqlType
from core.contracts.vector import ColumnPlan, GeometryOptions, LayerPlan, MixedTypes, ProcessVectorParameters, TablePlan
from core.contracts.vector_findings import FindingCode
from core.errors import InvalidRequest, NoFeatures
from services.vector import columns, default_styles, families, reference_systems, wkb
from services.vector.families import Family, Kind
from services.vector.findings import Findings
from services.vector.opening import OpenedLayer
from services.vector.readers import FeatureReader, Survey, surveyed
from services.vector.reference_systems import Bounds

MAX_NAME = 63
_TIMES = (SqlType.DATE, SqlType.TIMESTAMP, SqlType.TIMESTAMPTZ)


def planned(opened: OpenedLayer, parameters: ProcessVectorParameters, name: str, partitions: int) -> LayerPlan:
    """The plan of a layer whose table is to be `name`. Raises CrsMissing, CrsMismatch, NoFeatures, ColumnsMissing."""
    shown, reader, findings = opened.plan.shown, opened.reader, Findings()
    if reader.feature_count == 0:
        raise NoFeatures(f"{shown} has no feature.", hint="Check the file.")
    table_columns = columns.planned_columns(reader.attributes, parameters.column_mapping, shown)
    _require_named_columns(parameters, table_columns, shown)
    _report_renamed(table_columns, parameters, findings)
    stated = reader.stated_crs
    srid = _srid(parameters.target_crs)
    measure = reference_systems.needs_bounds(stated, parameters.input_crs, parameters.target_crs)
    found = _surveyed(opened, measure=measure)
    bounds = found.bounds
    if stated.text is None and parameters.input_crs is None and bounds is not None:
        bounds = _of_most(reader, bounds)
    crs = reference_systems.source_crs(stated, parameters.input_crs, bounds, shown, findings)
    area = _area(crs, parameters.target_crs, bounds, reader.feature_count, findings)
    named = _tables(found, parameters.geometry_params, name, findings)
    return LayerPlan(
        source=opened.plan.model_copy(update={"crs": crs, "area": area}),
        tables=tuple(
            TablePlan(
                schema_name=parameters.schema_name,
                name=_fitting(table, shown),
                geometry_type=family.column_type,
                srid=srid,
                columns=table_columns,
                takes=takes,
            )
            for table, family, takes in named
        ),
        feature_count=reader.feature_count,
        partitions=reader.partitions(partitions),
        findings=findings.listed(),
    )


def _area(crs: str, target: str, bounds: Bounds | None, features: int, findings: Findings) -> Bounds | None:
    """Where the layer lies, for the choice of a transformation; None when there is nothing to choose."""
    if reference_systems.transformation(crs, target) is None or bounds is None:
        return None
    reference_systems.report_place(crs, bounds, features, findings)
    area = reference_systems.place_of(bounds, crs)
    reference_systems.report_accuracy(crs, target, area, findings)
    return area


def survey(reader: FeatureReader, *, measure: bool) -> Survey:
    """Count geometry types over all features; with `measure`, their bounds too. Damaged geometries count nowhere."""
    made = reader.survey
    if made is not None and (made.bounds is not None or not measure):
        return made
    found = Survey()
    for geometry in reader.geometries(Findings()):
        surveyed(geometry, found, measure=measure)
    return found


def _of_most(reader: FeatureReader, bounds: Bounds) -> Bounds:
    """The extent without what is no longitude and latitude, if that is the smaller part: a few such are mistakes."""
    if reference_systems.looks_like_degrees(bounds):
        return bounds
    low, high, inside, all_of_them = np.full(2, np.inf), np.full(2, -np.inf), 0, 0
    for geometry in reader.geometries(Findings()):
        boxes = shapely.bounds(
            shapely.from_wkb(geometry.drop_null().to_numpy(zero_copy_only=False), on_invalid="ignore")
        )
        boxes = boxes[np.isfinite(boxes).all(axis=1)]
        degrees = boxes[reference_systems.are_degrees(boxes)]
        inside, all_of_them = inside + len(degrees), all_of_them + len(boxes)
        low = np.minimum(low, degrees[:, :2].min(axis=0, initial=np.inf))
        high = np.maximum(high, degrees[:, 2:].max(axis=0, initial=-np.inf))
    if 2 * inside <= all_of_them:
        return bounds
    (minx, miny), (maxx, maxy) = low.tolist(), high.tolist()
    return (minx, miny, maxx, maxy)


def _surveyed(opened: OpenedLayer, *, measure: bool) -> Survey:
    reader, plan = opened.reader, opened.plan
    if reader.sure_type is not None and not measure:
        base, _, dimensions = reader.sure_type.partition(" ")
        codes = {name: code for code, name in wkb.NAMES.items()}
        if base in codes and base != "GeometryCollection":
            kind = families.kind_of(codes[base])
            assert kind is not None  # every base type has one
            with_z, with_m = ({kind} if letter in dimensions else set() for letter in "ZM")
            return Survey({codes[base]: reader.feature_count}, with_z, with_m)
    found = survey(reader, measure=measure)
    if not found.kinds:
        where = " and ".join(name for name in (plan.lat_name, plan.lon_name, plan.wkt_column) if name)
        raise NoFeatures(
            f"None of the {reader.feature_count:,} features of {plan.shown} has a geometry"
            + (f" that can be read from {where}." if where else "."),
            hint="Write numbers with a decimal point, such as -1.95, geometries as WKT or hexadecimal WKB."
            if where
            else "Check the file, or choose another layer with layer_name.",
        )
    return found


_Named = tuple[str, Family, tuple[int, ...]]  #: a table, what it holds, and which types go into it and not another


def _tables(found: Survey, options: GeometryOptions, name: str, findings: Findings) -> list[_Named]:
    def family(base: str, kinds: Sequence[Kind]) -> Family:
        measured = not found.with_m.isdisjoint(kinds)
        return Family(base, options.keep_z and not found.with_z.isdisjoint(kinds), options.keep_m and measured)

    kinds = found.kinds
    if len(kinds) == 1:
        return [(name, family(families.table_type(kinds[0], found.counts), kinds), ())]
    split = [
        (
            name + families.suffix_of(kind),
            family(families.table_type(kind, found.counts), [kind]),
            families.types_of(kind),
        )
        for kind in kinds
    ]
    match options.mixed:
        case MixedTypes.SPLIT:
            tables = split
            fate = f"a table was made for each: {', '.join(t for t, *_ in split)}"
        case MixedTypes.COLLECTION:
            tables, fate = [(name, family("GeometryCollection", kinds), ())], "each is stored as a GeometryCollection"
        case MixedTypes.GEOMETRY:
            tables = [(name, family("Geometry", kinds), ())]
            fate = "they are kept as they are in one table of any geometry"
    counted = sorted((wkb.NAMES[code], count) for code, count in found.counts.items() if code in wkb.NAMES)
    kinds_shown = ", ".join(f"{count:,} {kind}" for kind, count in counted)
    message = f"The layer mixes {kinds_shown}; {fate}."
    findings.add(FindingCode.MIXED_GEOMETRY_TYPES, sum(found.counts.values()), detail=message)
    return tables


def _fitting(name: str, shown: str) -> str:
    if len(name) > MAX_NAME:
        raise InvalidRequest(
            f"A table of {shown} would be called {name}, which has {len(name)} characters; {MAX_NAME} are possible.",
            hint="Choose a shorter table_name.",
        )
    return name


def _require_named_columns(
    parameters: ProcessVectorParameters, planned_columns: tuple[ColumnPlan, ...], shown: str
) -> None:
    """Fail now, not after the load, when the request names a column that is not there."""
    columns.resolve(parameters.indexes.attributes, planned_columns, shown, "indexes.attributes")
    columns.resolve(parameters.indexes.temporal, planned_columns, shown, "indexes.temporal")
    if parameters.primary_key is not None:
        columns.resolve([parameters.primary_key], planned_columns, shown, "primary_key")
    for option, asked, fitting, what in (
        ("temporal_property", parameters.temporal_property, _TIMES, "dates or times"),
        ("style_attribute", parameters.style_attribute, default_styles.SHOWN, "texts, numbers or truth values"),
    ):
        if asked is not None:
            (name,) = columns.resolve([asked], planned_columns, shown, option)
            found = next(c.sql_type for c in planned_columns if c.name == name)
            if found not in fitting:
                raise InvalidRequest(
                    f"{option} {asked!r} is a {found.value} column, not one of {what}.",
                    hint=f"Name a column of {what}.",
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
    findings.add(FindingCode.RENAMED_COLUMN, len(renamed), detail=f"Columns were renamed: {shown}.")


def _srid(target_crs: str) -> int:
    try:
        pyproj.CRS.from_user_input(target_crs)
    except pyproj.exceptions.CRSError as e:
        raise InvalidRequest(f"target_crs {target_crs} is not known.", hint="Use EPSG:4326.") from e
    return int(target_crs.split(":")[1])
