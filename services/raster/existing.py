"""A COG that lies in storage already, described as if we had made it: it is its own source."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

import rasterio

from core.contracts.catalog import missing_collection
from core.contracts.catalog_container import (
    CatalogBlobInput,
    CatalogContainerParameters,
    CatalogedBlob,
    ContainerListing,
)
from core.contracts.context import TaskContext
from core.contracts.raster import CogFile, CreateCogOutput, OutputTier, RasterInspection, ValidateRasterInput
from core.contracts.storage import BlobName, ObjectStorage
from core.errors import InvalidRaster, NotFound
from core.naming import distinct_slugs
from services.containers.inventory import wanted
from services.raster import handlers
from services.raster.gdal import gdal_session, reading

_PAGE = 500
_LOSSY = frozenset({"jpeg", "webp", "jxl"})


def list_files(params: CatalogContainerParameters, ctx: TaskContext) -> ContainerListing:
    """The files of that extension that are nobody's COG yet. Raises NotFound where there is none at all."""
    if params.collection_must_exist and ctx.catalog.collection(params.collection_id) is None:
        raise missing_collection(params.collection_id)
    found = [
        b.name.path for b in wanted(ctx.storage, params.container_name, params.prefix, params.extension_filter, "")
    ]
    if not found:
        raise NotFound(
            f"Container {params.container_name!r} holds no {params.extension_filter} under {params.prefix!r}.",
            hint="Check container_name, prefix and extension_filter.",
        )
    known: set[str] = set()
    for start in range(0, len(found), _PAGE):
        known |= set(ctx.catalog.cataloged(params.container_name, found[start : start + _PAGE]))
    fresh = [path for path in found if path not in known]
    # Names of all files, known ones too: another run must not give a file the name that another one has.
    names = distinct_slugs({path: str(PurePosixPath(path).with_suffix("")) for path in found})
    chosen = fresh[: params.file_limit]
    return ContainerListing(
        blobs=tuple(chosen),
        names={path: names[path] for path in chosen},
        known=len(known),
        left=len(fresh) - len(chosen),
    )


def describe_blob(params: CatalogBlobInput, ctx: TaskContext) -> CatalogedBlob:
    """Inspect a COG where it lies. Raises InvalidRaster for a raster that is none."""
    request = ValidateRasterInput(
        blob_name=params.blob_name, container_name=params.container_name, raster_type=params.raster_type
    )
    inspection = handlers.validate(request, ctx)
    if not inspection.is_cog:
        raise InvalidRaster(
            f"{params.source} is no Cloud-Optimized GeoTIFF.", hint="Have process_raster_v2 make one of it."
        )
    cog = existing_cog(params.source, inspection, ctx.storage)
    return CatalogedBlob(inspection=inspection, made=CreateCogOutput(cogs=(cog,)))


def existing_cog(name: BlobName, inspection: RasterInspection, storage: ObjectStorage) -> CogFile:
    """The COG as the pipeline would have described one of its own."""
    with gdal_session(storage, name), reading(name, "open the COG"), rasterio.open(storage.gdal_path(name)) as cog:
        compression = cog.compression.name.lower() if cog.compression else "none"
        blocksize, overviews = cog.block_shapes[0][0], tuple(cog.overviews(1))
    return CogFile(
        container_name=name.container,
        blob_name=name.path,
        tier=OutputTier.VISUALIZATION if compression in _LOSSY else OutputTier.ANALYSIS,
        compression=compression.upper(),
        lossless=True,
        size_bytes=inspection.size_bytes,
        checksum=_sha256(storage, name),
        blocksize=blocksize,
        overviews=overviews,
        band_colors=tuple(band.color for band in inspection.bands),
        grid=inspection.grid,
        statistics=tuple(band.statistics for band in inspection.bands),
        band_checksums=tuple(band.checksum for band in inspection.bands),
        processing_seconds=0.0,
    )


def _sha256(storage: ObjectStorage, name: BlobName) -> str:
    digest = hashlib.sha256()
    for piece in storage.stream(name):
        digest.update(piece)
    return digest.hexdigest()
