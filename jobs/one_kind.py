"""May these rasters be one collection? Only if one picture can be made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from core.contracts.raster import RasterInspection
from core.errors import MixedCollection

_NAMED = 10


def one_kind(files: Mapping[str, RasterInspection], target_crs: str | None) -> None:
    """Raise MixedCollection, naming files and differences, unless type, bands and CRS are the same everywhere.

    What most files are is taken for right. With `target_crs` all get that CRS, so theirs may differ.
    """
    traits: dict[str, Callable[[RasterInspection], str]] = {
        "data type": lambda found: "/".join(sorted({band.dtype for band in found.bands})),
        "band count": lambda found: str(len(found.bands)),
    }
    if target_crs is None:
        traits["CRS"] = lambda found: found.grid.crs or found.grid.wkt[:80]
    wrong: dict[str, list[str]] = {}
    usual = []
    for trait, of in traits.items():
        values = {name: of(found) for name, found in files.items()}
        most = Counter(values.values()).most_common(1)[0][0]
        usual.append(f"{trait} {most}")
        for name, value in values.items():
            if value != most:
                wrong.setdefault(name, []).append(f"{trait} {value}")
    if wrong:
        told = [f"{name} has {' and '.join(differs)}" for name, differs in sorted(wrong.items())[:_NAMED]]
        more = f", and {len(wrong) - _NAMED} more differ" if len(wrong) > _NAMED else ""
        raise MixedCollection(
            f"The files cannot be one collection: {'; '.join(told)}{more}, where most have {', '.join(usual)}.",
            hint="Submit files of another kind under another collection_id; files in several CRS need target_crs.",
        )
