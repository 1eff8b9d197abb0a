"""How should a raster be shown when nobody says otherwise? Band order, stretch and colours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.contracts.raster import OutputTier, RasterBand, RasterInspection, RasterType
from core.contracts.renders import RenderSpec
from core.errors import InvalidRequest
from core.models.cogs import CogMetadata

_RGB = ("red", "green", "blue")
_BAND = re.compile(r"\bb(\d+)\b")
#: Names of the assets beside `data`.
ASSET_KEYS = {OutputTier.VISUALIZATION: "visual", OutputTier.ANALYSIS: "analysis", OutputTier.ARCHIVE: "archive"}


@dataclass(frozen=True)
class Rendering:
    """`bands` count from 1; `rescale` has a pair per band, None for values shown as they are; `colormap` is a name."""

    bands: tuple[int, ...]
    rescale: tuple[tuple[float, float], ...] | None
    colormap: str | None

    def spec(self) -> RenderSpec:
        """As the render extension has it."""
        return RenderSpec(title="Default view", bidx=self.bands, rescale=self.rescale, colormap_name=self.colormap)


def rendering(source: RasterInspection) -> Rendering:
    """The default view of a raster and of its lossless COGs."""
    order = band_order(source.bands)
    if source.palette:
        return Rendering(order, None, None)
    shown = [source.bands[index - 1] for index in order]
    if len(order) == 3 and all(band.dtype == "uint8" for band in shown):
        return Rendering(order, None, None)
    rescale = tuple(stretch(band, exact=source.raster_type is RasterType.CATEGORICAL) for band in shown)
    return Rendering(order, rescale, _colormap(source.raster_type) if len(order) == 1 else None)


def check_render(spec: RenderSpec, record: CogMetadata) -> None:
    """Raise InvalidRequest for a render that asks for bands or files that the COG does not have."""
    wrong = [band for band in spec.bidx or () if band > record.band_count]
    if wrong:
        raise InvalidRequest(
            f"render.bidx asks for band {wrong[0]}, but {record.cog_id} has {record.band_count} "
            f"band{'s' if record.band_count > 1 else ''}."
        )
    numbers = [int(number) for number in _BAND.findall(spec.expression or "")]
    if any(not 1 <= number <= record.band_count for number in numbers):
        raise InvalidRequest(
            f"render.expression uses bands from b{min(numbers)} to b{max(numbers)}; {record.cog_id} has b1 to "
            f"b{record.band_count}."
        )
    assets = {"data", *(str(ASSET_KEYS[OutputTier(str(cog["tier"]))]) for cog in record.other_cogs or ())}
    if not assets.issuperset(spec.assets):
        raise InvalidRequest(
            f"render.assets names {spec.assets[0]!r}; {record.cog_id} has {', '.join(sorted(assets))}."
        )


def band_order(bands: Sequence[RasterBand]) -> tuple[int, ...]:
    """Red, green and blue by colour; else the usual bands of 8- and 10-band sensors; else the first ones."""
    by_color = {band.color: band.index for band in bands}
    if all(color in by_color for color in _RGB):
        return tuple(by_color[color] for color in _RGB)
    measured = [band.index for band in bands if band.color != "alpha"]
    if len(measured) >= 10:
        return (4, 3, 2)
    if len(measured) == 8:
        return (5, 3, 2)
    return tuple(measured[:3]) if len(measured) >= 3 else (measured[0],)


def stretch(band: RasterBand, *, exact: bool) -> tuple[float, float]:
    """The 2nd and 98th percentile, the whole range for classes; never empty."""
    stats = band.statistics
    if stats is None:
        return 0.0, 1.0
    low, high = (stats.minimum, stats.maximum) if exact else (stats.percentile_2, stats.percentile_98)
    if low == high:
        low, high = stats.minimum, stats.maximum
    return (low, high) if high > low else (low, low + 1.0)


def _colormap(kind: RasterType) -> str | None:
    if kind is RasterType.DEM:
        return "terrain"
    return "gray" if kind is RasterType.SAR else "viridis"
