"""Every published item is valid by the STAC core and by every extension that it names."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from rasterio.enums import ColorInterp

from tests.support.published import Platform, platform
from tests.support.raster import write_tiff
from tests.support.stac_rules import problems

RNG = np.random.default_rng(3)
RGBA = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
LOCAL = "+proj=laea +lat_0=-2 +lon_0=30 +ellps=GRS80 +units=m"
CASES: dict[str, tuple[Callable[[Path], Path], dict]] = {
    "dem": (lambda p: write_tiff(p, RNG.normal(900, 9, (60, 50)).astype("f4"), nodata=float("nan")), {}),
    "picture": (lambda p: write_tiff(p, RNG.integers(1, 250, (3, 60, 50)).astype("u1"), photometric="RGB"), {}),
    "transparent": (lambda p: write_tiff(p, RNG.integers(1, 250, (4, 60, 50)).astype("u1"), colors=RGBA), {}),
    "tiers": (lambda p: write_tiff(p, RNG.integers(1, 250, (3, 60, 50)).astype("u1"), photometric="RGB"),
              {"output_tier": "all"}),
    "classes": (lambda p: write_tiff(p, RNG.integers(1, 5, (60, 50)).astype("u1"),
                                     palette={n: (n, 2, 3, 255) for n in range(5)}), {}),
    "own crs": (lambda p: write_tiff(p, RNG.random((60, 50)), crs=LOCAL), {}),
    "many bands": (lambda p: write_tiff(p, RNG.integers(0, 4000, (5, 60, 50)).astype("u2"), nodata=0), {}),
    "nothing": (lambda p: write_tiff(p, np.zeros((60, 50), "i2"), nodata=0), {}),
}  # fmt: skip


@pytest.fixture
def geo(db: str, tmp_path: Path) -> Iterator[Platform]:
    with platform(db, tmp_path / "home") as running:
        yield running


def test_items_of_rasters_of_every_kind_follow_the_extensions_they_name(geo: Platform, tmp_path: Path) -> None:
    wrong = {}
    for name, (made, options) in CASES.items():
        item = geo.publish(made(tmp_path / "made.tif"), options=options)
        assert item["properties"]["renders"]["default"]["assets"] == ["data"]
        wrong[name] = problems(item)
    assert wrong == {name: [] for name in CASES}


def test_the_rules_see_what_is_wrong(geo: Platform, tmp_path: Path) -> None:
    item = geo.publish(CASES["picture"][0](tmp_path / "made.tif"))
    assert problems(item) == []
    changes: list[tuple[str, Callable[[dict], object]]] = [
        ("proj:shape", lambda i: i["properties"].update({"proj:shape": [1, 2, 3]})),
        ("proj:epsg", lambda i: i["properties"].update({"proj:epsg": 4326})),
        ("checksum", lambda i: i["assets"]["data"].update({"file:checksum": "XYZ"})),
        ("byte", lambda i: i["assets"]["data"]["raster:bands"][0].update({"data_type": "byte"})),
        ("median", lambda i: i["assets"]["data"]["raster:bands"][0]["statistics"].update({"median": 4})),
        ("purple", lambda i: i["assets"]["data"]["eo:bands"][0].update({"common_name": "purple"})),
        ("renders", lambda i: i["properties"].pop("renders")),
        ("assets", lambda i: i["properties"]["renders"]["default"].pop("assets")),
        ("processing", lambda i: i["properties"]["processing:software"].update({"GDAL": 3})),
        ("sar", lambda i: i["properties"].update({"sar:product_type": "GRD"})),
        ("datetime", lambda i: i["properties"].pop("datetime")),
    ]
    for word, change in changes:
        broken = copy.deepcopy(item)
        change(broken)
        assert any(word in problem for problem in problems(broken)), (word, problems(broken))
