"""Cataloguing many rasters as one collection, in one transaction."""

from __future__ import annotations

from itertools import chain

from core.contracts.context import TaskContext
from core.contracts.effects import ExtendCollection, StacJson
from core.contracts.raster_collection import CatalogCollectionInput, CatalogedCollection
from services.raster.describing import after_item, before_item, metadata_of, reference
from services.raster.mosaics import mosaic_file
from services.stac.collections import UNKNOWN_LICENSE


def create_collection(params: CatalogCollectionInput, ctx: TaskContext) -> CatalogedCollection:
    """Describe every raster; items, rows, extent, summaries and mosaic are written with this task's completion."""
    collection_id = params.dataset.collection_id
    described = [metadata_of(member, ctx) for member in params.members]
    items = [one.item() for one in described]
    file, summary = mosaic_file(
        ctx, collection_id, items, wanted=params.options.create_mosaicjson, maxzoom=params.options.maxzoom
    )
    for effect in chain.from_iterable(map(before_item, described)):
        ctx.commit_with(effect)
    ctx.commit_with(
        ExtendCollection(
            _collection(params, described[0].collection()),
            tuple(items),
            must_exist=params.dataset.collection_must_exist,
            mosaic=True,
            mosaic_file=file,
        )
    )
    for effect in chain.from_iterable(map(after_item, described)):
        ctx.commit_with(effect)
    return CatalogedCollection(
        collection_id=collection_id,
        items=tuple(reference(one) for one in described),
        search_id=ctx.catalog.mosaic_id(collection_id),
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
