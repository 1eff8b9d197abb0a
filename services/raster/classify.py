"""What do the pixels mean? Evidence from colours, types, values and names; and whether a declared type can be true."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from core.contracts.raster import RasterType, TypeDetection
from core.errors import RasterTypeMismatch

_HEIGHT_NAME = re.compile(r"(^|[^a-z])(dem|dtm|dsm|elev|elevation|srtm|height|hgt|bathy|topo)", re.I)
_RADAR_NAME = re.compile(r"(^|[^a-z0-9])(sar|s1[ab]?|vv|vh|hh|hv|sigma0|sentinel-?1)([^a-z0-9]|$|hand)", re.I)
_HEIGHT_DRIVERS = frozenset({"SRTMHGT", "USGSDEM", "DTED"})
_COLORS = {"red", "green", "blue"}
#: More values than this are not taken for classes unless there is a palette.
_MAX_CLASSES = 40


@dataclass(frozen=True)
class PixelFacts:
    """What the detection looks at. `gradient` is the mean step between neighbours over the standard deviation."""

    label: str
    driver: str
    dtypes: Sequence[str]
    colors: Sequence[str]
    descriptions: Sequence[str | None]
    units: Sequence[str | None]
    palette: bool
    values: Sequence[float] | None  #: those that occur in the first band; None above 256
    integral: bool
    minimum: float | None
    maximum: float | None
    gradient: float | None

    @property
    def kind(self) -> str:
        """NumPy's letter for the first band's type: u, i or f."""
        return np.dtype(self.dtypes[0]).kind

    @property
    def measured_bands(self) -> int:
        """How many bands are not alpha."""
        return sum(color != "alpha" for color in self.colors)


def detect(facts: PixelFacts) -> TypeDetection:
    """The most likely type. Confidence is a grade, not a probability: 0.9 stated by the file, 0.5 a guess."""
    if facts.measured_bands == 1 and len(facts.dtypes) <= 2:
        return _detect_single(facts)
    return _detect_many(facts)


def _detect_many(facts: PixelFacts) -> TypeDetection:
    bands, colors = len(facts.dtypes), set(facts.colors)
    photographic = all(dtype in ("uint8", "uint16") for dtype in facts.dtypes)
    named = " ".join([facts.label, *(d or "" for d in facts.descriptions)])
    if bands == 2 and facts.kind == "f":
        confidence = 0.8 if _RADAR_NAME.search(named) else 0.6
        return _found(RasterType.SAR, confidence, "two floating-point bands, as two polarisations")
    if photographic and bands == 4 and "alpha" in colors:
        return _found(RasterType.RGBA, 0.95, "three colour bands and an alpha band")
    if photographic and bands == 4 and colors >= _COLORS:
        return _found(RasterType.NIR, 0.85, "red, green, blue and a fourth band that is not alpha")
    if photographic and bands == 4:
        return _found(RasterType.NIR, 0.5, "four integer bands without colours")
    if photographic and bands == 3 and colors >= _COLORS:
        return _found(RasterType.RGB, 0.95, f"red, green and blue of {facts.dtypes[0]}")
    if bands == 3 and facts.dtypes[0] == "uint8":
        return _found(RasterType.RGB, 0.6, "three bands of uint8 without colours")
    return _found(RasterType.MULTISPECTRAL, 0.8, f"{bands} bands of {facts.dtypes[0]}")


def _detect_single(facts: PixelFacts) -> TypeDetection:
    if facts.palette:
        return _found(RasterType.CATEGORICAL, 0.95, "a colour palette")
    if facts.minimum is None or facts.maximum is None:
        return _found(RasterType.CONTINUOUS, 0.1, "no valid pixel to judge by")
    if facts.driver in _HEIGHT_DRIVERS:
        return _found(RasterType.DEM, 0.95, f"the format {facts.driver} holds heights")
    if _HEIGHT_NAME.search(facts.label) and _may_be_heights(facts):
        return _found(RasterType.DEM, 0.8, "its name speaks of heights, its values are possible ones")
    if facts.integral and facts.values is not None and len(facts.values) <= _MAX_CLASSES:
        dense = facts.maximum - facts.minimum < 8 * len(facts.values)
        return _found(RasterType.CATEGORICAL, 0.75 if dense else 0.5, f"{len(facts.values)} different whole numbers")
    named = " ".join([facts.label, *(d or "" for d in facts.descriptions)])
    if _RADAR_NAME.search(named) and not facts.integral:
        return _found(RasterType.SAR, 0.6, "its name speaks of radar")
    if _may_be_heights(facts) and _smooth(facts) and facts.maximum - facts.minimum > 20:
        return _found(RasterType.DEM, 0.6, "smooth values in the range of heights")
    return _found(RasterType.CONTINUOUS, 0.6, f"one band of {facts.dtypes[0]} with many values")


def _found(kind: RasterType, confidence: float, *evidence: str) -> TypeDetection:
    return TypeDetection(detected=kind, confidence=confidence, evidence=evidence)


def _may_be_heights(facts: PixelFacts) -> bool:
    if facts.minimum is None or facts.maximum is None or facts.kind == "u":
        return False
    return facts.minimum >= -12_000 and facts.maximum <= 9_000


def _smooth(facts: PixelFacts) -> bool:
    return facts.gradient is not None and facts.gradient < 0.1


def check_declared(declared: RasterType, detection: TypeDetection, facts: PixelFacts) -> RasterType:
    """The type to work with. Raises RasterTypeMismatch when the file cannot be what was declared."""
    if declared is RasterType.AUTO:
        return detection.detected
    reason = _refusals(facts)[declared]()
    if reason is not None:
        raise RasterTypeMismatch(
            f"{facts.label} was declared {declared.value} but {reason}; "
            f"it looks like {detection.detected.value} ({', '.join(detection.evidence)}).",
            hint="Leave raster_type out, or declare the type it has.",
        )
    return declared


def _refusals(facts: PixelFacts) -> Mapping[RasterType, Callable[[], str | None]]:
    """For each type, why the file cannot be one; None when it can."""
    bands = len(facts.dtypes)

    def bands_are(*allowed: int) -> str | None:
        return None if bands in allowed else f"has {bands} band{'s' if bands > 1 else ''}"

    def whole_bands(*allowed: int) -> str | None:
        return bands_are(*allowed) or (None if facts.kind in "ui" else f"its values are {facts.dtypes[0]}")

    def palette() -> str | None:
        return "has a colour palette" if facts.palette else None

    def categorical() -> str | None:
        return bands_are(1, 2) or (None if facts.integral else "its values are not whole numbers")

    def nir() -> str | None:
        return bands_are(4) or ("its fourth band is alpha" if "alpha" in facts.colors else None)

    return {
        RasterType.AUTO: lambda: None,
        RasterType.RGB: lambda: whole_bands(3),
        RasterType.RGBA: lambda: whole_bands(4),
        RasterType.NIR: nir,
        RasterType.DEM: lambda: bands_are(1, 2) or palette(),
        RasterType.CATEGORICAL: categorical,
        RasterType.MULTISPECTRAL: lambda: "has a single band" if facts.measured_bands < 2 else None,
        RasterType.CONTINUOUS: lambda: bands_are(1, 2) or palette(),
        RasterType.SAR: lambda: bands_are(1, 2, 3, 4) or palette(),
    }


def is_classes(kind: RasterType) -> bool:
    """True when values must never be averaged."""
    match kind:
        case RasterType.CATEGORICAL:
            return True
        case (
            RasterType.AUTO
            | RasterType.RGB
            | RasterType.RGBA
            | RasterType.NIR
            | RasterType.DEM
            | RasterType.MULTISPECTRAL
            | RasterType.CONTINUOUS
            | RasterType.SAR
        ):
            return False
    assert_never(kind)
