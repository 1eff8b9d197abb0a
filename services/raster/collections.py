"""Cataloguing many rasters as one collection, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from core.contracts.context import TaskContext
from core.contracts.effects import ExtendCollection, StacJson
from core.contracts.raster import RasterDataset
from core.contracts.raster_collection import CatalogCollectionInput, CatalogedCollection
from services.raster.describing import after_item, before_item, metadata_of, reference
from services.raster.metadata import RasterMetadata
from services.raster.mosaics import mosaic_file
from services.stac.collections import UNKNOWN_LICENSE


def create_collection(params: CatalogCollectionInput, ctx: TaskContext) -> CatalogedCollection:
    """Describe every raster; items, rows, extent, summaries and mosaic are written with this task's completion."""
    described = [metadata_of(member, ctx) for member in params.members]
    document, options = _collection(params, described[0].collection()), params.options
    return catalog(
        ctx, params.dataset, document, described, mosaicjson=options.create_mosaicjson, maxzoom=options.maxzoom
    )


def catalog(
    ctx: TaskContext,
    dataset: RasterDataset,
    collection: StacJson,
    described: Sequence[RasterMetadata],
    *,
    mosaicjson: bool,
    maxzoom: int | None = None,
) -> CatalogedCollection:
    """Have the rasters written into their collection with this task's completion."""
    items = [one.item() for one in described]
    file, summary = mosaic_file(ctx, dataset.collection_id, items, wanted=mosaicjson, maxzoom=maxzoom)
    for effect in chain.from_iterable(map(before_item, described)):
        ctx.commit_with(effect)
    must_exist = dataset.collection_must_exist
    ctx.commit_with(ExtendCollection(collection, tuple(items), must_exist, mosaic=True, mosaic_file=file))
    for effect in chain.from_iterable(map(after_item, described)):
        ctx.commit_with(effect)
    return CatalogedCollection(
        collection_id=dataset.collection_id,
        items=tuple(reference(one) for one in described),
        search_id=ctx.catalog.mosaic_id(dataset.collection_id),
        mosaicjson=summary,
    )


def _collection(params: CatalogCollectionInput, first: StacJson) -> StacJson:
    """The collection as it is when this job makes it; one that exists keeps its own words."""
    dataset, options = params.dataset, params.options
    document = {**first, "license": options.collection_license or UNKNOWN_LICENSE}
    if dataset.title:
        document["title"] = dataset.title
    if options.collection_description or dataset.description:
        document["description"] = options.collection_description or dataset.description
    if dataset.tags:
        document["keywords"] = list(dataset.tags)
    return document
