"""What a job that cut a raster into tiles answers."""

from __future__ import annotations

from collections.abc import Mapping

from core.contracts.jobs import StacReference
from core.contracts.raster import CreateCogOutput
from core.contracts.raster_collection import CatalogedCollection, CogCounts, CollectionReference
from core.contracts.raster_tiles import (
    LargeRasterParameters,
    LargeRasterResult,
    TileOutcome,
    TilingGrid,
    TilingScheme,
    TilingSummary,
)
from jobs.raster_summaries import validation_summary


def large_result(
    job_type: str,
    stages: int,
    params: LargeRasterParameters,
    scheme: TilingScheme,
    made: Mapping[str, CreateCogOutput],
    cataloged: CatalogedCollection,
) -> LargeRasterResult:
    """The result, from what the stages or the phases left."""
    tiles = tuple(
        TileOutcome(
            key=tile.key,
            window=tile.window,
            item_id=params.tile_item(tile),
            cog_blob=made[tile.key].cogs[0].blob_name,
            cog_container=made[tile.key].cogs[0].container_name,
            size_mb=round(sum(cog.size_bytes for cog in made[tile.key].cogs) / 1e6, 3),
        )
        for tile in scheme.tiles
    )
    return LargeRasterResult(
        job_type=job_type,
        source_blob=params.blob_name,
        source_container=params.container_name,
        collection_id=params.collection_id,
        validation=validation_summary(scheme.inspection),
        tiling=TilingSummary(**scheme.model_dump(include=set(TilingGrid.model_fields)), tile_count=len(tiles)),
        cogs=CogCounts(
            total_count=len(tiles),
            successful=len(tiles),
            failed=0,
            total_size_mb=round(sum(tile.size_mb for tile in tiles), 3),
        ),
        tiles=tiles,
        mosaicjson=cataloged.mosaicjson,
        stac=CollectionReference(
            collection_id=cataloged.collection_id,
            item_id=cataloged.items[0].item_id,
            search_id=cataloged.search_id,
            items_created=len(cataloged.items),
            items_failed=0,
        ),
        stac_items=tuple(
            StacReference(collection_id=item.collection_id, item_id=item.item_id) for item in cataloged.items[1:]
        ),
        stages_completed=stages,
    )
