"""Is a file laid out as a Cloud-Optimized GeoTIFF?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import rasterio
from rio_cogeo.cogeo import cog_validate

_SMALL = 512  #: a level no larger need not be tiled


@dataclass(frozen=True)
class Level:
    """The picture or one of its overviews; blocks as rows and columns, of each band."""

    width: int
    height: int
    blocks: tuple[tuple[int, int], ...]

    @property
    def striped(self) -> bool:
        """Its blocks are rows of it. A square as wide as the level is a tile."""
        rows, columns = self.blocks[0]
        return max(self.width, self.height) > _SMALL and columns == self.width and rows != columns


def levels(path: str) -> Iterator[Level]:
    """The picture, then its overviews."""
    with rasterio.open(path) as whole:
        count = len(whole.overviews(1))
        yield Level(whole.width, whole.height, tuple(whole.block_shapes))
    for number in range(count):
        with rasterio.open(path, overview_level=number) as overview:
            yield Level(overview.width, overview.height, tuple(overview.block_shapes))


def errors(path: str) -> list[str]:
    """Why it is none: what rio-cogeo says, which takes a level that is one tile wide for striped."""
    found = [error for error in cog_validate(path, quiet=True)[1] if not error.endswith("is not tiled")]
    striped = [number for number, level in enumerate(levels(path)) if level.striped]
    return [*found, *(f"level {number} is not tiled" for number in striped)]
