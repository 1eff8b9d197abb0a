"""The item, row and reference that a record stands for, as the pipeline wrote them."""

from __future__ import annotations

from core.contracts.context import TaskContext
from core.contracts.effects import RepairDrift, RepairTarget
from core.contracts.repairs import (
    Prospect,
    RebuildCandidate,
    RebuildItem,
    RebuildPlan,
    RebuildStacParameters,
    RepairedItem,
)
from core.contracts.tables import LiveTable
from core.errors import ContractViolation, DataError, NoFeatures, NotFound
from core.models.catalog import GeoTableCatalog
from core.models.cogs import CogMetadata
from core.models.consistency import DriftKind
from core.models.platform import DataType
from services.raster.metadata import RasterMetadata
from services.raster.mosaics import mosaic_file
from services.vector.metadata import VectorMetadata
from services.vector.reference_systems import lonlat_bounds

_KIND = DriftKind.RECORD_WITHOUT_STAC_ITEM


def validate(parameters: RebuildStacParameters, ctx: TaskContext) -> RebuildPlan:
    """Which of the items can and shall be rebuilt."""
    return RebuildPlan(candidates=tuple(_candidate(parameters, item, ctx) for item in parameters.items))


def rebuild(task: RebuildItem, ctx: TaskContext) -> RepairedItem:
    """Item, reference and publication are written when the task completes."""
    by = task.parameters.requested_by or ctx.job_type
    if task.parameters.data_type is DataType.RASTER:
        effect = of_cog(task.item, _KIND, by, None, ctx)
    else:
        effect = of_table(task.item, _KIND, by, None, ctx)
    return mended(effect, ctx)


def mended(effect: RepairDrift, ctx: TaskContext) -> RepairedItem:
    """Have it written with the task's completion; what the job answers of it."""
    ctx.commit_with(effect)
    return RepairedItem(
        object=effect.object,
        kind=effect.kind,
        finding_id=effect.finding_id,
        collection_id=effect.target.collection_id,
        item_id=effect.target.item_id,
        refused=effect.refused,
    )


def of_cog(cog_id: str, kind: DriftKind, by: str, finding_id: int | None, ctx: TaskContext) -> RepairDrift:
    """What a COG's row stands for. Raises NotFound, and ContractViolation for a row that cannot be shown."""
    record = ctx.consistency.cog(cog_id)
    if record is None:
        raise NotFound(f"There is no COG {cog_id!r}.")
    metadata = RasterMetadata(record)
    item = metadata.item()
    file, _ = mosaic_file(ctx, record.stac_collection_id, [item], wanted=False)
    return RepairDrift(
        kind=kind,
        object=f"cog:{cog_id}",
        target=RepairTarget(record.stac_collection_id, record.stac_item_id, cog_id=cog_id),
        by=by,
        finding_id=finding_id,
        expected=record.updated_at,
        collection=metadata.collection(),
        item=item,
        ref=metadata.dataset_ref(),
        mosaic_file=file,
    )


def of_table(name: str, kind: DriftKind, by: str, finding_id: int | None, ctx: TaskContext) -> RepairDrift:
    """What a table and its row stand for: the row as it is with the figures that the table has now. Raises NotFound."""
    live = ctx.tables.live("geo", name)
    if live is None or live.catalog is None:
        raise NotFound(f"There is no catalogued table geo.{name}.")
    catalog = _measured(live, live.catalog, ctx)
    metadata = VectorMetadata.from_internal_db(catalog, ctx.tables.tracking(name))
    return RepairDrift(
        kind=kind,
        object=f"table:{name}",
        target=RepairTarget(catalog.stac_collection_id, catalog.stac_item_id, table_name=name),
        by=by,
        finding_id=finding_id,
        expected=live.catalog.updated_at,
        collection=metadata.to_stac_collection(),
        item=metadata.to_stac_item(),
        catalog=None if catalog == live.catalog else catalog,
        ref=metadata.to_dataset_ref(),
    )


def _measured(live: LiveTable, row: GeoTableCatalog, ctx: TaskContext) -> GeoTableCatalog:
    """The row with the table's own count, extent, CRS and geometry types."""
    if live.srid == 0:
        raise ContractViolation(f"Table geo.{live.name} has no typed geometry column geom.")
    facts = ctx.tables.facts(live.as_feature_table(), row.temporal_property)
    minx, miny, maxx, maxy = lonlat_bounds(facts.bbox, f"EPSG:{live.srid}")
    found = {"feature_count": facts.row_count, "srid": live.srid, "geometry_types": sorted(facts.geometry_types)}
    if sorted(row.geometry_types or ()) == found["geometry_types"]:
        found["geometry_types"] = row.geometry_types or []
    extent = {"bbox_minx": minx, "bbox_miny": miny, "bbox_maxx": maxx, "bbox_maxy": maxy}
    return GeoTableCatalog.model_validate({**row.model_dump(), **found, **extent})


def _candidate(parameters: RebuildStacParameters, item: str, ctx: TaskContext) -> RebuildCandidate:
    try:
        described = _shown_cog(item, ctx) if parameters.data_type is DataType.RASTER else _shown_table(item, ctx)
    except (NotFound, NoFeatures, ContractViolation, DataError) as e:
        return RebuildCandidate(item=item, prospect=Prospect.IMPOSSIBLE, reason=e.message)
    if described and not parameters.force_recreate:
        return RebuildCandidate(item=item, prospect=Prospect.EXISTS, reason="Its item is there.")
    return RebuildCandidate(item=item, prospect=Prospect.REBUILD)


def _shown_cog(cog_id: str, ctx: TaskContext) -> bool:
    record: CogMetadata | None = ctx.consistency.cog(cog_id)
    if record is None:
        raise NotFound(f"There is no COG {cog_id!r}.")
    RasterMetadata(record).item()
    return ctx.consistency.shown(record.stac_collection_id, record.stac_item_id)


def _shown_table(name: str, ctx: TaskContext) -> bool:
    live = ctx.tables.live("geo", name)
    if live is None or live.catalog is None:
        raise NotFound(f"There is no catalogued table geo.{name}.")
    VectorMetadata.from_internal_db(live.catalog, ctx.tables.tracking(name)).to_stac_item()
    return ctx.tables.held("geo", name).item_exists
