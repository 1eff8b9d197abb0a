"""From a raster to a verified COG in storage. A repeated attempt makes the same file under the same name."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import rasterio

from core.contracts.raster import COG_CONTAINER, CogFile, CreateCogInput
from core.contracts.storage import BlobName, ObjectStorage
from core.errors import ContractViolation
from services.raster import structure
from services.raster.georeference import grid
from services.raster.names import output_folder, stem
from services.raster.pixels import Progress, checksums
from services.raster.profiles import BLOCK, CogProfile, access_tier
from services.raster.views import PixelFacts, Prepared
from services.raster.writing import write

MEDIA_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"

#: Told how far one COG is, 0 to 100, and what is being done; raises to stop.
Watch = Callable[[float, str], None]


def verify(output: Path, name: BlobName, expected: PixelFacts | None, progress: Progress) -> None:
    """Raise ContractViolation unless the file is a COG and, when pixels are given, holds exactly those."""
    if errors := _structural_errors(output):
        raise ContractViolation(f"The COG of {name} is not valid: {'; '.join(errors)}")
    if expected is None:
        return
    with rasterio.open(output, num_threads="ALL_CPUS") as written:
        found = checksums(written, name, progress)
    if tuple(found.checksums) != expected.checksums or found.mask_checksum != expected.mask_checksum:
        raise ContractViolation(f"The COG of {name} does not hold the pixels of its source.")


def _structural_errors(output: Path) -> list[str]:
    """Why it is no COG, or not one of ours."""
    shapes = [shape for level in structure.levels(str(output)) for shape in level.blocks]
    others = [f"blocks of {shape[1]} x {shape[0]}" for shape in shapes if shape != (BLOCK, BLOCK)]
    return [*structure.errors(str(output)), *others]


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
    watch(0.0, "Writing")
    facts = write(prepared, profile, output, lambda percent: watch(0.75 * percent, "Writing"))
    same = facts if profile.lossless else None
    verify(output, name, same, lambda percent: watch(75.0 + 0.15 * percent, "Verifying"))
    watch(90.0, "Storing")
    cog = _describe(output, prepared, profile, request, facts, started)
    stored = storage.upload(output, cog.blob, content_type=MEDIA_TYPE, access=access_tier(profile.tier))
    output.unlink()
    return cog.model_copy(update={"etag": stored.etag})


def _describe(
    output: Path, prepared: Prepared, profile: CogProfile, request: CreateCogInput, facts: PixelFacts, started: float
) -> CogFile:
    checksum = sha256(output)
    blob = BlobName(COG_CONTAINER, cog_path(request, profile, checksum))
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
