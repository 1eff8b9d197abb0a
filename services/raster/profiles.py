"""How is a COG written? Compression by tier, predictor by type of number, resampling by meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from core.contracts.findings import Severity
from core.contracts.raster import Finding, OutputTier, RasterInspection, RasterType
from core.contracts.raster_findings import FindingCode as Code
from core.contracts.storage import AccessTier
from services.raster.classify import is_classes

BLOCK = 512
_DEFLATE_LEVEL = 6
_PICTURES = (RasterType.RGB, RasterType.RGBA)


@dataclass(frozen=True)
class CogProfile:
    """Creation options of GDAL's COG driver, and what must happen to the pixels before."""

    tier: OutputTier
    compression: str
    options: Mapping[str, str | int]
    lossless: bool
    mask_from_nodata: bool = False  #: lossy codecs would smear a nodata value: it becomes a mask


def tiers(asked: OutputTier) -> tuple[OutputTier, ...]:
    """The tiers to make, the one to analyse first."""
    if asked is OutputTier.ALL:
        return (OutputTier.ANALYSIS, OutputTier.VISUALIZATION, OutputTier.ARCHIVE)
    return (asked,)


def profile(tier: OutputTier, source: RasterInspection, jpeg_quality: int) -> tuple[CogProfile, Sequence[Finding]]:
    """The profile for a tier; where JPEG cannot serve for `visualization`, a finding tells what was taken and why."""
    match tier:
        case OutputTier.VISUALIZATION:
            reason = _not_for_pictures(source)
            if reason is not None:
                return _lossless(tier, "DEFLATE", source), (_fallback(reason),)
            if source.raster_type is RasterType.RGBA:
                return _lossy(source, "WEBP", jpeg_quality), (_TRANSPARENT,)
            return _lossy(source, "JPEG", jpeg_quality), ()
        case OutputTier.ANALYSIS:
            return _lossless(tier, "DEFLATE", source), ()
        case OutputTier.ARCHIVE:
            return _lossless(tier, "LZW", source), ()
        case OutputTier.ALL:
            raise ValueError("ALL stands for several tiers; ask for each")
    assert_never(tier)


def access_tier(tier: OutputTier) -> AccessTier:
    """Archives are kept, everything else is looked at."""
    return AccessTier.COOL if tier is OutputTier.ARCHIVE else AccessTier.HOT


def overview_resampling(kind: RasterType) -> str:
    """Classes are counted, everything else is averaged."""
    return "MODE" if is_classes(kind) else "AVERAGE"


def warp_resampling(kind: RasterType) -> str:
    """Name of a member of `rasterio.enums.Resampling`."""
    return "nearest" if is_classes(kind) else "bilinear"


def _common(source: RasterInspection) -> dict[str, str | int]:
    return {
        "blocksize": BLOCK,
        "num_threads": "ALL_CPUS",
        "bigtiff": "IF_SAFER",
        "overview_resampling": overview_resampling(source.raster_type),
        # Those of the source were made by nobody knows which rule; classes may have been averaged.
        "overviews": "IGNORE_EXISTING",
    }


def _lossless(tier: OutputTier, compression: str, source: RasterInspection) -> CogProfile:
    options = _common(source)
    options["compress"] = compression
    # Differences of neighbours help measured values and hurt class numbers.
    options["predictor"] = "NO" if is_classes(source.raster_type) or source.palette else "YES"
    if compression == "DEFLATE":
        options["level"] = _DEFLATE_LEVEL
    return CogProfile(tier, compression, options, lossless=True)


def _lossy(source: RasterInspection, compression: str, quality: int) -> CogProfile:
    options = {**_common(source), "compress": compression, "quality": quality}
    masked = any(band.nodata is not None for band in source.bands)
    return CogProfile(OutputTier.VISUALIZATION, compression, options, lossless=False, mask_from_nodata=masked)


def _not_for_pictures(source: RasterInspection) -> str | None:
    """Why neither JPEG nor WEBP can hold it."""
    colors = [band.color for band in source.bands]
    if source.raster_type not in _PICTURES:
        return f"it is {source.raster_type.value}, not a picture"
    if any(band.dtype != "uint8" for band in source.bands):
        return f"its values are {source.dtype}, not uint8"
    if source.raster_type is RasterType.RGBA:
        if colors != ["red", "green", "blue", "alpha"]:
            return "its colours are not in the order red, green, blue, alpha"
        if any(band.nodata is not None for band in source.bands):
            return "it has both transparency and a nodata value"
    return None


_TRANSPARENT = Finding(
    code=Code.VISUALIZATION_IS_WEBP,
    severity=Severity.INFO,
    message="JPEG has no transparency; the visualization tier was written as WEBP, which keeps every value of it.",
    fix="Leave the fourth band out where JPEG is needed.",
)


def _fallback(reason: str) -> Finding:
    return Finding(
        code=Code.VISUALIZATION_IS_LOSSLESS,
        severity=Severity.INFO,
        message=f"Neither JPEG nor WEBP can serve this raster ({reason}); the tier was written without loss.",
        fix="Use the analysis tier.",
    )
