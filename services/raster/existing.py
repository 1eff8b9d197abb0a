"""A COG that lies in storage already, described as if we had made it: it is its own source."""

from __future__ import annotations

from pathlib import PurePosixPath

from core.contracts.catalog import missing_collection
from core.contracts.catalog_container import (
    CatalogBlobInput,
    CatalogContainerParameters,
    CatalogedBlob,
    ContainerListing,
    SilverBlobsParameters,
)
from core.contracts.context import TaskContext
from core.contracts.findings import Severity
from core.contracts.raster import (
    CogFile,
    CreateCogOutput,
    Finding,
    OutputTier,
    RasterInspection,
    RasterType,
    ValidateRasterInput,
)
from core.contracts.raster_findings import FindingCode
from core.contracts.storage import BlobName
from core.errors import InvalidRaster, NotFound
from core.naming import distinct_slugs
from services.containers.inventory import wanted
from services.raster import handlers
from services.raster.gdal import gdal_session
from services.raster.glance import SIDE
from services.raster.inspect import inspect_header
from services.raster.source import locate

_PAGE = 500
_LOSSY = frozenset({"JPEG", "WEBP", "JXL"})
_ESTIMATED = Finding(
    code=FindingCode.STATISTICS_ESTIMATED,
    severity=Severity.INFO,
    message="Statistics are estimates from an overview: the pixels of a COG that is there already are not read.",
    fix="Have process_raster_v2 make a COG of it for exact ones.",
)


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


def named_files(params: SilverBlobsParameters, ctx: TaskContext) -> ContainerListing:
    """Those of the named files that are nobody's COG yet; one that is not there fails as it is described."""
    if params.collection_must_exist and ctx.catalog.collection(params.collection_id) is None:
        raise missing_collection(params.collection_id)
    named = sorted({BlobName(params.container_name, path).path for path in params.blobs})
    known = set(ctx.catalog.cataloged(params.container_name, named))
    fresh = [path for path in named if path not in known]
    names = distinct_slugs({path: str(PurePosixPath(path).with_suffix("")) for path in named})
    return ContainerListing(blobs=tuple(fresh), names={path: names[path] for path in fresh}, known=len(known), left=0)


def describe_blob(params: CatalogBlobInput, ctx: TaskContext) -> CatalogedBlob:
    """Look at a COG where it lies. Raises InvalidRaster for a raster that is none."""
    inspection = look(params.source, params.raster_type, ctx)
    return CatalogedBlob(inspection=inspection, made=CreateCogOutput(cogs=(existing_cog(params.source, inspection),)))


def look(name: BlobName, kind: RasterType, ctx: TaskContext) -> RasterInspection:
    """What the header and an overview of a COG tell. Raises InvalidRaster for a raster that is none."""
    asked = ValidateRasterInput(blob_name=name.path, container_name=name.container, raster_type=kind)
    request = handlers.admitted(asked, ctx.catalog, ctx.max_raster_pixels)
    with gdal_session(ctx.storage, name):
        found = inspect_header(locate(ctx.storage, name, ctx.workdir), request)
    if not found.is_cog:
        raise InvalidRaster(f"{name} is no Cloud-Optimized GeoTIFF.", hint="Have process_raster_v2 make one of it.")
    if max(found.grid.width, found.grid.height) <= SIDE:
        return found  # its one overview was all of it
    return found.model_copy(update={"findings": (*found.findings, _ESTIMATED)})


def existing_cog(name: BlobName, inspection: RasterInspection, checksum: str = "") -> CogFile:
    """The COG as the pipeline would have described one of its own; `checksum` where all of it was read."""
    compression = (inspection.layout.compression or "none").upper()
    return CogFile(
        container_name=name.container,
        blob_name=name.path,
        tier=OutputTier.VISUALIZATION if compression in _LOSSY else OutputTier.ANALYSIS,
        compression=compression,
        lossless=True,
        size_bytes=inspection.size_bytes,
        checksum=checksum,
        etag=inspection.etag,
        blocksize=inspection.layout.block_height,
        overviews=inspection.layout.overviews,
        band_colors=tuple(band.color for band in inspection.bands),
        grid=inspection.grid,
        statistics=tuple(band.statistics for band in inspection.bands),
        band_checksums=tuple(band.checksum for band in inspection.bands),
        processing_seconds=0.0,
    )
