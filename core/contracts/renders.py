"""How a raster is drawn: one render as STAC's render extension writes it down."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from core.contracts.colormaps import COLORMAPS
from core.contracts.tasks import Contract

Color = tuple[
    Annotated[int, Field(ge=0, le=255)],
    Annotated[int, Field(ge=0, le=255)],
    Annotated[int, Field(ge=0, le=255)],
    Annotated[int, Field(ge=0, le=255)],
]
Range = tuple[float, float]
Resampling = Literal["nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average", "mode", "gauss", "rms"]


class RenderSpec(Contract):
    """Bands, stretch and colours. `bidx` counts from 1; `rescale` has one pair for all bands or one for each."""

    title: str | None = Field(None, max_length=255)
    assets: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], ...] = Field(
        ("data",), min_length=1, max_length=1
    )
    bidx: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(None, min_length=1, max_length=4)
    expression: str | None = Field(None, max_length=400, pattern=r"^[A-Za-z0-9_ .,;()+\-*/<>=!&|]+$")
    rescale: tuple[Range, ...] | None = Field(None, min_length=1, max_length=4)
    colormap_name: str | None = Field(None, max_length=60, pattern=r"^[a-z0-9_]+$")
    colormap: dict[Annotated[str, Field(pattern=r"^\d{1,5}$")], Color] | None = Field(
        None, min_length=1, max_length=1024
    )
    color_formula: str | None = Field(None, max_length=200, pattern=r"^[A-Za-z0-9 .,\-]+$")
    resampling: Resampling | None = None
    nodata: float | Literal["nan"] | None = None

    @field_validator("rescale")
    @classmethod
    def _rising(cls, value: tuple[Range, ...] | None) -> tuple[Range, ...] | None:
        for low, high in value or ():
            if not low < high:
                raise ValueError(f"rescale {low:g},{high:g} does not rise")
        return value

    @field_validator("colormap_name")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in COLORMAPS:
            near = ", ".join(get_close_matches(value, COLORMAPS, 3)) or "viridis, terrain, gray"
            raise ValueError(f"{value!r} is no colour map known here; perhaps {near}")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> RenderSpec:
        if self.colormap_name and self.colormap:
            raise ValueError("give colormap_name or colormap, not both")
        if self.bidx and self.expression:
            raise ValueError("give bidx or expression, not both")
        if self.bidx and self.rescale and len(self.rescale) not in (1, len(self.bidx)):
            raise ValueError(f"rescale has {len(self.rescale)} pairs for {len(self.bidx)} bands")
        if (self.colormap_name or self.colormap) and self.bidx and len(self.bidx) > 1:
            raise ValueError("a colormap colours a single band")
        return self

    def document(self) -> dict[str, JsonValue]:
        """As JSON, without what is not said."""
        return self.model_dump(mode="json", exclude_none=True)
