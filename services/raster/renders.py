"""How should a raster be shown when nobody says otherwise? Band order, stretch and colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.contracts.raster import RasterBand, RasterInspection, RasterType
from core.contracts.renders import RenderSpec

_RGB = ("red", "green", "blue")


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
