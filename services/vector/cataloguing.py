"""The stages of stac_catalog_vectors: find tables without items, and describe each."""

from __future__ import annotations

from core.contracts.context import TaskContext
from core.contracts.effects import CatalogFeatureTable, UpsertStacItem
from core.contracts.tables import LiveTable, SqlType, TableFacts
from core.contracts.vector import ColumnPlan, TablePlan, require_table_name
from core.contracts.vector_catalog import (
    CataloguedVector,
    CatalogVector,
    CatalogVectorsParameters,
    TablesToCatalog,
)
from core.errors import NotFound
from core.models.catalog import GeoTableCatalog
from services.stac.names import table_item_id
from services.vector import columns, default_styles, reference_systems
from services.vector.metadata import EXTERNAL, PROJECTION_EXTENSION, TABLE_EXTENSION, VectorMetadata

_TYPES = {t.value: t for t in SqlType}


def list_tables(parameters: CatalogVectorsParameters, ctx: TaskContext) -> TablesToCatalog:
    """The tables without an item, of those that were named or of all."""
    missing = ctx.tables.without_item(parameters.schema_name)
    wanted = parameters.table_names or tuple(missing)
    tables: list[str] = []
    refused: list[tuple[str, str]] = []
    for name in wanted:
        live = ctx.tables.live(parameters.schema_name, name)
        reason = _reason(live, known=name not in missing)
        if reason is None:
            tables.append(name)
        else:
            refused.append((name, reason))
    return TablesToCatalog(tables=tuple(tables), refused=tuple(refused))


def extract_stac(task: CatalogVector, ctx: TaskContext) -> CataloguedVector:
    """Measure one table; its catalogue row, style and item are written when the task completes. Raises NotFound."""
    schema, name = task.parameters.schema_name, task.table_name
    live = ctx.tables.live(schema, name)
    if live is None or live.geometry_type is None:
        raise NotFound(f"Table {schema}.{name} is gone, or has lost its geometry.")
    plan = _plan(live, live.geometry_type)
    temporal = live.catalog.temporal_property if live.catalog else None
    facts = ctx.tables.facts(live.as_feature_table(), temporal)
    catalog = _catalog(task.parameters, live, plan, facts)
    metadata = VectorMetadata.from_internal_db(catalog, ctx.tables.tracking(name))
    style = default_styles.default_style(ctx.tables, plan.staging(name), plan, None)
    ctx.commit_with(CatalogFeatureTable(catalog, style, live.catalog.updated_at if live.catalog else None))
    ctx.commit_with(UpsertStacItem(metadata.to_stac_collection(), metadata.to_stac_item()))
    return CataloguedVector(
        table_name=name,
        collection_id=catalog.stac_collection_id or task.parameters.collection_id,
        item_id=catalog.stac_item_id or name,
        row_count=facts.row_count,
    )


def _reason(live: LiveTable | None, *, known: bool) -> str | None:
    """Why a table cannot get an item."""
    if live is None:
        return "there is no such table"
    try:
        require_table_name(live.name)
    except ValueError as e:
        return f"its name {e}"
    if live.geometry_type is None or live.srid == 0:
        return "it has no column geom of a geometry type with a CRS"
    return "it has an item already" if known else None


def _plan(live: LiveTable, geometry_type: str) -> TablePlan:
    attributes = tuple(
        ColumnPlan(name=name, sql_type=_TYPES.get(kind, SqlType.TEXT), source_name=name)
        for name, kind in live.columns.items()
    )
    return TablePlan(
        schema_name=live.schema, name=live.name, geometry_type=geometry_type, srid=live.srid, columns=attributes
    )


def _catalog(
    parameters: CatalogVectorsParameters, live: LiveTable, plan: TablePlan, facts: TableFacts
) -> GeoTableCatalog:
    known = live.catalog or GeoTableCatalog(
        table_name=live.name,
        title=live.name,
        license=parameters.license,
        attribution=parameters.attribution,
        access_level=parameters.access_level.value,
        primary_key=live.primary_key or "id",
        table_type=EXTERNAL,
        column_definitions=columns.definitions((name, kind, name) for name, kind in live.columns.items()),
    )
    minx, miny, maxx, maxy = reference_systems.lonlat_bounds(facts.bbox, f"EPSG:{plan.srid}")
    return known.model_copy(
        update={
            "bbox_minx": minx,
            "bbox_miny": miny,
            "bbox_maxx": maxx,
            "bbox_maxy": maxy,
            "geometry_type": plan.geometry_type,
            "geometry_types": list(facts.geometry_types),
            "srid": plan.srid,
            "feature_count": facts.row_count,
            "stac_collection_id": known.stac_collection_id or parameters.collection_id,
            "stac_item_id": known.stac_item_id or table_item_id(live.schema, live.name),
            "stac_extensions": [TABLE_EXTENSION, PROJECTION_EXTENSION],
        }
    )
