"""What is converted: the source with its CRS set right, on the grid asked for, whole or a window of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from core.contracts.raster import BandStatistics, CreateCogInput, Georeference, RasterInspection
from core.contracts.storage import BlobName
from services.raster.gdal import reading
from services.raster.georeference import parse_crs, same_crs
from services.raster.pixels import PixelScan, Progress, scan
from services.raster.profiles import CogProfile
from services.raster.source import Located
from services.raster.warping import warped
from services.raster.windowing import windowed


@dataclass(frozen=True)
class PixelFacts:
    """What is known of the pixels to convert, of each band."""

    statistics: tuple[BandStatistics | None, ...]
    checksums: tuple[str, ...]
    mask_checksum: str | None


@dataclass
class Prepared:
    """What the writers read, and whether its pixels are still the source's.

    `facts` of a window or of a new grid are None until somebody has read it all.
    """

    dataset: DatasetReader
    name: BlobName
    untouched: bool
    facts: PixelFacts | None

    def remember(self, found: PixelScan) -> PixelFacts:
        """Keep what a reading of all pixels found."""
        statistics = tuple(band.statistics() for band in found.bands)
        self.facts = PixelFacts(statistics, tuple(found.checksums), found.mask_checksum)
        return self.facts

    def known(self, progress: Progress) -> PixelFacts:
        """The facts, read now if need be."""
        return self.facts or self.remember(scan(self.dataset, self.name, progress))


def _known(source: RasterInspection) -> PixelFacts | None:
    """The inspection's own; None when it did not read every pixel."""
    sums = tuple(band.checksum for band in source.bands)
    if not all(sums):
        return None
    return PixelFacts(tuple(band.statistics for band in source.bands), sums, source.mask_checksum)


@contextmanager
def prepare(
    located: Located, request: CreateCogInput, profiles: Sequence[CogProfile], workdir: Path
) -> Iterator[Prepared]:
    """The source as it is to be converted to these profiles."""
    source = request.inspection
    crs = CRS.from_wkt(source.grid.wkt)
    target = parse_crs(request.target_crs, "target_crs") if request.target_crs else crs
    moved = source.georeference in (Georeference.GCPS, Georeference.SOUTH_UP) or not same_crs(crs, target)
    with ExitStack() as stack:
        dataset = stack.enter_context(located.open())
        if source.crs_given:
            dataset = stack.enter_context(_with_crs(dataset, crs, located.name, workdir))
        if moved:
            dataset = stack.enter_context(warped(dataset, (crs, target), request, profiles, workdir))
        elif request.window is not None:
            dataset = stack.enter_context(windowed(dataset, request.window, located.name, workdir))
        whole = not moved and request.window is None
        yield Prepared(dataset, located.name, not moved, _known(source) if whole else None)


def target_shape(located: Located, request: CreateCogInput) -> tuple[int, int]:
    """Width and height of the whole output, which `request.window` is a part of."""
    source = request.inspection
    crs = CRS.from_wkt(source.grid.wkt)
    target = parse_crs(request.target_crs, "target_crs") if request.target_crs else crs
    with located.open() as dataset:
        if source.georeference is not Georeference.GCPS and same_crs(crs, target):
            return dataset.width, dataset.height
        with WarpedVRT(dataset, src_crs=crs, crs=target) as view:
            return view.width, view.height


@contextmanager
def _with_crs(dataset: DatasetReader, crs: CRS, name: BlobName, workdir: Path) -> Iterator[DatasetReader]:
    # A description of the same pixels that says another CRS; the source itself is never written to.
    described = workdir / "source.vrt"
    with reading(name, "describe the raster"):
        rasterio.shutil.copy(dataset, described, driver="VRT")
        with rasterio.open(described, "r+") as description:
            description.crs = crs
    with rasterio.open(described) as opened:
        yield opened
