"""From a raster to a verified COG in storage. A repeated attempt makes the same file under the same name."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.vrt import WarpedVRT
from rio_cogeo.cogeo import cog_validate

from core.contracts.raster import CogFile, CreateCogInput
from core.contracts.storage import BlobName, ObjectStorage
from core.errors import ContractViolation
from services.raster.gdal import reading
from services.raster.georeference import grid
from services.raster.names import output_folder, stem
from services.raster.pixels import Progress, checksums
from services.raster.profiles import CogProfile
from services.raster.views import PixelFacts, Prepared

CONTAINER = "silver-cogs"
MEDIA_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"

#: Told how far one COG is, 0 to 100, and what is being done; raises to stop.
Watch = Callable[[float, str], None]


def write(prepared: Prepared, profile: CogProfile, name: BlobName, output: Path) -> None:
    """Write the COG to a local file."""
    with ExitStack() as stack:
        stack.enter_context(reading(name, "convert the raster"))
        dataset = prepared.dataset
        if profile.mask_from_nodata and dataset.nodata is not None:
            dataset = stack.enter_context(WarpedVRT(dataset, add_alpha=True))
        options = dict(profile.options)
        if dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS"):
            # Predictors know no 15-bit samples; the type's own width changes no value.
            options["nbits"] = 8 * np.dtype(dataset.dtypes[0]).itemsize
        rasterio.shutil.copy(dataset, output, driver="COG", **options)


def verify(output: Path, name: BlobName, expected: PixelFacts | None, progress: Progress) -> None:
    """Raise ContractViolation unless the file is a COG and, when pixels are given, holds exactly those."""
    valid, errors, _ = cog_validate(str(output), quiet=True)
    if not valid:
        raise ContractViolation(f"The COG of {name} is not valid: {'; '.join(errors)}")
    if expected is None:
        return
    with rasterio.open(output) as written:
        found = checksums(written, name, progress)
    if tuple(found.checksums) != expected.checksums or found.mask_checksum != expected.mask_checksum:
        raise ContractViolation(f"The COG of {name} does not hold the pixels of its source.")


def make_cog(
    prepared: Prepared,
    profile: CogProfile,
    request: CreateCogInput,
    workdir: Path,
    storage: ObjectStorage,
    watch: Watch,
) -> CogFile:
    """Write, verify and store one COG. What `watch` raises ends it, with nothing left in storage."""
    started = time.monotonic()
    name, output = request.inspection.source, workdir / f"{profile.tier.value}.tif"
    watch(0.0, "Reading")
    facts = prepared.facts(request, lambda percent: watch(0.2 * percent, "Reading"))
    watch(20.0, "Writing")
    write(prepared, profile, name, output)
    watch(70.0, "Verifying")
    same = facts if profile.lossless else None
    verify(output, name, same, lambda percent: watch(70.0 + 0.2 * percent, "Verifying"))
    watch(90.0, "Storing")
    cog = _describe(output, prepared, profile, request, facts, started)
    storage.upload(output, cog.blob, content_type=MEDIA_TYPE)
    output.unlink()
    watch(100.0, "Stored")
    return cog


def _describe(
    output: Path, prepared: Prepared, profile: CogProfile, request: CreateCogInput, facts: PixelFacts, started: float
) -> CogFile:
    checksum = sha256(output)
    blob = BlobName(CONTAINER, cog_path(request, profile, checksum))
    with rasterio.open(output) as written:
        return CogFile(
            container_name=blob.container,
            blob_name=blob.path,
            tier=profile.tier,
            compression=profile.compression,
            lossless=prepared.untouched and profile.lossless,
            size_bytes=output.stat().st_size,
            checksum=checksum,
            blocksize=written.block_shapes[0][0],
            overviews=tuple(written.overviews(1)),
            band_colors=tuple(color.name for color in written.colorinterp),
            grid=grid(written, written.crs, str(blob)),
            window=request.window,
            statistics=facts.statistics,
            band_checksums=facts.checksums,
            processing_seconds=round(time.monotonic() - started, 3),
        )


def cog_path(request: CreateCogInput, profile: CogProfile, checksum: str) -> str:
    """A name that changes whenever the bytes do."""
    inspection = request.inspection
    name = stem(PurePosixPath(inspection.member or inspection.blob_name).name)
    if request.window is not None:
        name = f"{name}-r{request.window.row}-c{request.window.column}"
    folder = request.output_folder or output_folder(request.dataset, inspection.blob_name)
    return f"{folder}/{name}-{checksum[:12]}_{profile.tier.value}.tif"


def sha256(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
