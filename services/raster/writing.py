"""Two ways to write a COG behind one function: in one pass where that provably gives the same, else GDAL's driver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.windows import Window

from core.contracts.raster import BandStatistics
from core.errors import UnreadableSource
from services.raster.description import Description
from services.raster.gdal import reading
from services.raster.onepass.eligibility import refusals
from services.raster.onepass.writer import write_cog
from services.raster.pixels import Gatherer, Progress, checksums, read
from services.raster.profiles import CogProfile
from services.raster.views import PixelFacts, Prepared


def write(prepared: Prepared, profile: CogProfile, output: Path, progress: Progress) -> PixelFacts:
    """Write the COG to a local file and tell the facts of the pixels that went in.

    Raises UnreadableSource naming band and block; then, or when `progress` raises, nothing of the file is left.
    """
    made = _by_driver if any(refusals(prepared.dataset, profile)) else _in_one_pass
    with ExitStack() as unfinished:
        unfinished.callback(output.unlink, missing_ok=True)
        facts = made(prepared, profile, output, progress)
        unfinished.pop_all()
    return facts


class _Source:
    """The pixels for the one-pass writer; what they hold is found out on the way where it is not known."""

    def __init__(self, prepared: Prepared, stated: bool, progress: Progress) -> None:
        self._prepared, self._stated, self._progress = prepared, stated, progress
        self._gatherer = Gatherer(prepared.dataset) if prepared.facts is None else None

    def rows(self, first: int, count: int) -> np.ndarray:
        """All bands of these rows."""
        dataset = self._prepared.dataset
        self._progress(100.0 * first / dataset.height)
        pixels, _ = read(dataset, Window(0, first, dataset.width, count), self._prepared.name, False)
        if self._gatherer is not None:
            self._gatherer.take(first, 0, pixels, None)
        return pixels

    def statistics(self) -> Sequence[BandStatistics | None] | None:
        """A lossy file's values are not quite those that were counted."""
        return self.facts().statistics if self._stated else None

    def facts(self) -> PixelFacts:
        """Known before, or since the last row."""
        if self._prepared.facts is not None or self._gatherer is None:
            assert self._prepared.facts is not None
            return self._prepared.facts
        return self._prepared.remember(self._gatherer.result())


def _in_one_pass(prepared: Prepared, profile: CogProfile, output: Path, progress: Progress) -> PixelFacts:
    source = _Source(prepared, profile.lossless, progress)
    with reading(prepared.name, "convert the raster"):
        write_cog(prepared.dataset, profile, output, source)
    return source.facts()


def _by_driver(prepared: Prepared, profile: CogProfile, output: Path, progress: Progress) -> PixelFacts:
    facts = prepared.known(lambda percent: progress(0.3 * percent))
    dataset = prepared.dataset
    options = dict(profile.options)
    if dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS"):
        # Predictors know no 15-bit samples; the type's own width changes no value.
        options["nbits"] = 8 * np.dtype(dataset.dtypes[0]).itemsize
    with ExitStack() as stack:
        stack.enter_context(_naming_the_block(prepared, progress))
        if profile.mask_from_nodata or profile.lossless:
            described = Description(dataset, output.with_suffix(".vrt"))
            if profile.mask_from_nodata:
                described.mask_nodata(dataset)
            else:
                described.state_statistics(facts.statistics)
            dataset = stack.enter_context(rasterio.open(described.save(output.with_suffix(".vrt"))))
        rasterio.shutil.copy(dataset, output, driver="COG", **options)
    return facts


@contextmanager
def _naming_the_block(prepared: Prepared, progress: Progress) -> Iterator[None]:
    """The driver only says that something cannot be read; reading block by block tells which."""
    try:
        with reading(prepared.name, "convert the raster"):
            yield
    except UnreadableSource:
        checksums(prepared.dataset, prepared.name, progress)
        raise
